"""The closing report of a campaign, for people and as JSON."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple

from tests.chaos.campaign.ledger import SHOWN, Ledger

MIB = 1024 * 1024
FEWEST_SAMPLES = 4
MOST_GROWTH = 1.15


class Recovery(NamedTuple):
    """One injection: what it was, how long everything took to be well again, and how long it may take."""

    fault: str
    seconds: float
    bound_s: float


@dataclass
class Report:
    """What a campaign came to. Without `findings` it is well."""

    seed: int
    server: str
    workers: int
    seconds: float = 0.0
    jobs: int = 0
    runs: int = 0
    starts_under_a_limit: int = 0
    workers_lost_under_a_job: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    recoveries: list[Recovery] = field(default_factory=list)
    worker_bytes: list[int] = field(default_factory=list)
    server_bytes: list[int] = field(default_factory=list)
    findings: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def wrong(self, what: str, found: list[str]) -> None:
        """Note what was found wrong."""
        self.counts[what] = self.counts.get(what, 0) + len(found)
        if found:
            self.findings[what] = (self.findings.get(what, []) + found)[:SHOWN]

    def check_growth(self) -> None:
        """Memory must be as flat in the last quarter of a long campaign as in the second; a short one says nothing."""
        for what, samples in (("a worker", self.worker_bytes), ("the server", self.server_bytes)):
            quarter = len(samples) // 4
            if quarter >= FEWEST_SAMPLES:
                early, late = median(samples[quarter : 2 * quarter]), median(samples[-quarter:])
                if late > early * MOST_GROWTH + MIB:
                    self.wrong("memory", [f"{what} had {early / MIB:.1f} MiB in the second quarter and {late / MIB:.1f} in the last"])

    def account(self, ledger: Ledger) -> None:
        """Take over the sums."""
        self.jobs, self.runs = len(ledger.accepted), ledger.runs.total()
        self.starts_under_a_limit, self.workers_lost_under_a_job = ledger.starts, ledger.crashes
        self.ended = dict(ledger.states)

    def to_json(self) -> str:
        """Everything, the recoveries of each kind summed up too."""
        kinds = {name: {"times": n, "p50_s": p50, "max_s": most, "bound_s": bound} for name, n, p50, most, bound in self._kinds()}
        fields: dict[str, Any] = asdict(self) | {"faults": kinds}
        return json.dumps(fields, indent=1)

    def lines(self) -> list[str]:
        """The report for people."""
        told = [f"seed {self.seed}, {self.server}, {self.workers} workers, {self.seconds / 60:.1f} minutes"]
        told.append(
            f"{len(self.recoveries)} injections, {self.jobs} jobs, {self.runs} runs, {self.starts_under_a_limit} starts under a limit, "
            f"{self.workers_lost_under_a_job} times a worker was lost under a job"
        )
        told.append("ended: " + ", ".join(f"{count} {state}" for state, count in sorted(self.ended.items())))
        told.append(", ".join(f"{what} {self.counts.get(what, 0)}" for what in ("lost", "accepted twice", "over a limit")))
        if self.server_bytes:
            first, last, most = (self._mib(self.server_bytes, pick) for pick in (0, -1, None))
            told.append(f"server memory {first} MiB at first, {last} at last, {most} at most; a worker process at most")
            told[-1] += f" {self._mib(self.worker_bytes, None)} MiB"
        told += ["", f"{'fault':48} {'times':>5} {'p50 s':>7} {'max s':>7} {'bound s':>8}"]
        told += [f"{name:48} {times:5} {p50:7.2f} {most:7.2f} {bound:8.1f}" for name, times, p50, most, bound in self._kinds()]
        for what, found in self.findings.items():
            told += ["", f"WRONG, {what}: {self.counts[what]}", *(f"  {one}" for one in found)]
        return told

    def _kinds(self) -> list[tuple[str, int, float, float, float]]:
        kinds: dict[str, list[Recovery]] = defaultdict(list)
        for recovery in self.recoveries:
            kinds["two at once" if " and " in recovery.fault else recovery.fault].append(recovery)
        return [
            (name, len(all_), median(one.seconds for one in all_), max(one.seconds for one in all_), max(one.bound_s for one in all_))
            for name, all_ in sorted(kinds.items())
        ]

    @staticmethod
    def _mib(samples: list[int], at: int | None) -> int:
        return (max(samples) if at is None else samples[at]) // MIB
