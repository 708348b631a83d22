"""The closing report of a campaign, for people and as JSON."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple, Self

from tests.chaos.campaign.calls import NEW, OLD, SEVERAL
from tests.chaos.campaign.ledger import SHOWN, Ledger
from tests.chaos.campaign.notes import LATE, RIGHT

MIB = 1024 * 1024
FEWEST_SAMPLES = 4
MOST_GROWTH = 1.15


class Recovery(NamedTuple):
    """One injection: what it was, how long everything took to be well again, and how long it may take."""

    fault: str
    seconds: float
    bound_s: float


class Waits(NamedTuple):
    """How long the jobs of a task, or takers, waited in line for their first start."""

    task: str
    times: int
    p50_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, task: str, waits_s: Sequence[float]) -> Self:
        """Of times in order, at least one."""
        return cls(task, len(waits_s), median(waits_s), waits_s[len(waits_s) * 99 // 100], waits_s[-1])


@dataclass
class Report:
    """What a campaign came to. Without `findings` it is well."""

    seed: int
    server: str
    workers: int
    takers: int = 0
    seconds: float = 0.0
    jobs: int = 0
    jobs_of_several_limits: int = 0
    runs: int = 0
    starts_under_a_limit: int = 0
    takes: int = 0
    workers_lost_under_a_job: int = 0
    runs_by_old: int = 0
    runs_by_new: int = 0
    amended: int = 0
    runs_by_name: int = 0
    results_told: int = 0
    results_late: int = 0
    answers_told: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    dead_letters_excused: int = 0
    run_again: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    takes_ended: dict[str, int] = field(default_factory=dict)
    waits: list[Waits] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    players: dict[str, dict[str, int]] = field(default_factory=dict)
    worker_bytes: list[int] = field(default_factory=list)
    server_bytes: list[int] = field(default_factory=list)
    branch_jobs: int = 0
    starts_under_shared: dict[str, int] = field(default_factory=dict)
    shared_used: float = 0.0
    """The part that two queues together used of the limit they share."""
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
        self.starts_under_a_limit, self.workers_lost_under_a_job = ledger.tokens.times, ledger.crashes
        self.ended = dict(ledger.states)
        self.takes, self.takes_ended = len(ledger.takes.logged), dict(ledger.takes.ends)
        versions, doors = ledger.versions, ledger.doors
        self.runs_by_old, self.runs_by_new = versions.begun_by(OLD), versions.begun_by(NEW)
        self.amended, self.runs_by_name = ledger.words.amended, versions.by_name
        self.results_told, self.results_late = doors.counts[RIGHT], doors.counts[LATE]
        self.answers_told = dict(ledger.words.says)
        self.dead_letters, self.dead_letters_excused = dict(ledger.dead_letters.kinds), len(ledger.dead_letters.excused)
        waits: dict[str, list[float]] = defaultdict(list)
        for wait in ledger.waits:
            waits[wait.task].append(wait.seconds)
            waits[f"all of {wait.priority} priority"].append(wait.seconds)
        waits["takers"] = ledger.takes.waits_s
        self.waits = [Waits.of(what, sorted(waits[what])) for what in sorted(waits) if waits[what]]
        self.jobs_of_several_limits = sum(waits.times for waits in self.waits if waits.task in SEVERAL)

    def to_json(self) -> str:
        """Everything, the recoveries of each kind summed up too."""
        kinds = {name: {"times": n, "p50_s": p50, "max_s": most, "bound_s": bound} for name, n, p50, most, bound in self._kinds()}
        fields: dict[str, Any] = asdict(self) | {"faults": kinds}
        return json.dumps(fields, indent=1)

    def lines(self) -> list[str]:
        """The report for people."""
        told = [f"seed {self.seed}, {self.server}, {self.workers} workers, {self.seconds / 60:.1f} minutes"]
        told.append(
            f"{len(self.recoveries)} injections, {self.jobs} jobs, {self.runs} runs, {self.starts_under_a_limit} times tokens of a limit taken, "
            f"{self.workers_lost_under_a_job} times a worker was lost under a job"
        )
        told.append(f"{self.jobs_of_several_limits} jobs of several limits started; {self.takers} takers took {self.takes} times")
        told.append(
            f"of the tasks that are watched {self.runs_by_old} runs by the old version, {self.runs_by_new} by the new one, {self.runs_by_name} of jobs"
            f" by name; {self.amended} jobs got other buckets; plain code got {self.results_told} results, {self.results_late} not in time"
        )
        starts = " and ".join(f"{number} times in the {where}" for where, number in self.starts_under_shared.items())
        told.append(
            f"the branch had {self.branch_jobs} jobs; tokens of the limit that both queues share were taken {starts}: {self.shared_used:.0%} of it"
        )
        ends_of = {
            "jobs ended": self.ended,
            "takes told": self.takes_ended,
            "answers told": self.answers_told,
            "dead letters": self.dead_letters,
        }
        for what, ends in ends_of.items():
            told.append(f"{what}: " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
        told.append(
            f"dead letters of a new argument that no live worker could read: {self.dead_letters_excused}, of which {self.run_again} ran again"
        )
        for player, figures in self.players.items():
            told.append(f"player of {player}: " + ", ".join(f"{what} {number}" for what, number in figures.items()))
        told.append(", ".join(f"{what} {self.counts.get(what, 0)}" for what in ("lost", "accepted twice", "over a limit")))
        if self.server_bytes:
            first, last, most = (self._mib(self.server_bytes, pick) for pick in (0, -1, None))
            told.append(f"server memory {first} MiB at first, {last} at last, {most} at most; a worker process at most")
            told[-1] += f" {self._mib(self.worker_bytes, None)} MiB"
        told += ["", f"{'fault':48} {'times':>5} {'p50 s':>7} {'max s':>7} {'bound s':>8}"]
        told += [f"{name:48} {times:5} {p50:7.2f} {most:7.2f} {bound:8.1f}" for name, times, p50, most, bound in self._kinds()]
        told += ["", f"{'in line for the first start':48} {'times':>5} {'p50 s':>7} {'p99 s':>7} {'max s':>8}"]
        told += [f"{task:48} {times:5} {p50:7.2f} {p99:7.2f} {most:8.2f}" for task, times, p50, p99, most in self.waits]
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
