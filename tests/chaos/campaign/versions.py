"""The ledger's side of a deploy: which version ran what, under which buckets, and how long jobs waited that only some workers can run."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from tests.chaos.campaign.calls import FIRST_BY_NAME, FIRST_PLAIN, FIRST_PROBE, NEW, OLD, WATCHED, Call

Attempt = tuple[int, int]
"""The number of a job, and that of its attempt."""


class _Start(NamedTuple):
    at_us: int
    costs: dict[str, int]


class _Look(NamedTuple):
    """When the leases were looked at, and until when the workers of the new version had theirs, by their ids."""

    at_us: int
    leases_us: dict[str, int]


def needs_new(job: Call) -> bool:
    """Whether only a worker of the new version can run it: by its task, or by an argument."""
    return job.task == "refund" or "note" in job.args


def needs(job: Call, version: int) -> dict[str, int]:
    """The cost of each bucket that a job of a watched task needs by the declarations of a version. Worked out by no code of the runner."""
    match job.task:
        case "charge":
            return {"books": 1, "fraud": 1} if version == NEW else {"books": 1}
        case "ship":
            return {f"parcels/{job.args['region' if version == NEW else 'tenant']}": 1}
        case "print_out":
            return {"pages": 2 if version == NEW else 1}
        case "greet":
            return {"books": 1}
        case "refund":
            return {"books": 1, "refunds": 1}
        case "per_account":
            return {f"accounts/{UUID(str(job.args['account']))}": 1}
        case "per_branch":
            return {f"branches/{int(float(job.args['branch']))}": 1}
    raise ValueError(f"task {job.task} is not watched")


class Versions:
    """What is known of the jobs of the watched tasks."""

    def __init__(self, call_of: Callable[[int], Call]) -> None:
        self._call_of = call_of
        self._submitted_us: dict[int, int] = {}
        self._starts: dict[Attempt, _Start] = {}
        self._begun: dict[Attempt, int] = {}
        self._looks: list[_Look] = []
        self._new_us: list[int] = []

    @property
    def by_name(self) -> int:
        """Runs of jobs that were submitted by name."""
        return sum(self._call_of(number).by_http or FIRST_BY_NAME <= number < FIRST_PLAIN for number, _ in self._begun)

    def begun_by(self, version: int) -> int:
        return sum(by == version for by in self._begun.values())

    def note_submission(self, number: int, at_us: int) -> None:
        if self._is_watched(number):
            self._submitted_us[number] = at_us

    def note_start(self, attempt: Attempt, at_us: int, costs: dict[str, int]) -> None:
        """A line of the log of starts. It has none of attempts that were given back before they began."""
        if self._is_watched(attempt[0]):
            self._starts[attempt] = _Start(at_us, costs)

    def note_run(self, attempt: Attempt, version: int) -> None:
        """A handler began, in a worker of this version."""
        if self._is_watched(attempt[0]):
            self._begun[attempt] = version

    def note_look(self, at_us: int, leases_us: Mapping[str, int]) -> None:
        """The leases of the workers of the new version, at an instant of Redis's clock."""
        passed_us = 0
        if self._looks and self._stays(self._looks[-1], at_us, leases_us):
            passed_us = at_us - self._looks[-1].at_us
        self._new_us.append((self._new_us[-1] if self._new_us else 0) + passed_us)
        self._looks.append(_Look(at_us, dict(leases_us)))

    def surely_had_a_new_worker(self, at_us: int) -> bool:
        """Whether a worker of the new version held its lease from the look before to the look after."""
        after = bisect_left(self._looks, at_us, key=lambda look: look.at_us)
        return 0 < after < len(self._looks) and self._stays(self._looks[after - 1], *self._looks[after])

    def is_excused(self, number: int, error: str, at_us: int) -> bool:
        """Whether a dead letter is what docs/howto/deploys.md says of a new argument that no live worker reads."""
        return error == "InvalidArguments" and needs_new(self._call_of(number)) and not self.surely_had_a_new_worker(at_us)

    def findings(self, starved_s: float) -> dict[str, list[str]]:
        """Runs without the buckets of their worker's version, under buckets that none of them names, for another cost, or after too long."""
        wrong: dict[str, list[str]] = {"without its limit": [], "wrong bucket": [], "wrong cost": [], "held up": []}
        first_us: dict[int, int] = {}
        for attempt, version in self._begun.items():
            number, job = attempt[0], self._call_of(attempt[0])
            name = f"attempt {attempt[1]} of job c{number} ({job.task} of version {job.version}, by version {version})"
            if (start := self._starts.get(attempt)) is None:
                wrong["without its limit"].append(f"{name} is not in the log of starts")
                continue
            first_us[number] = min(first_us.get(number, start.at_us), start.at_us)
            own, either = needs(job, version), needs(job, OLD) | needs(job, NEW) | needs(job, job.version)
            if lacking := own.keys() - start.costs.keys():
                wrong["without its limit"].append(f"{name} began without {sorted(lacking)}: {start.costs}")
            if others := start.costs.keys() - either.keys():
                wrong["wrong bucket"].append(f"{name} began under {sorted(others)}: {start.costs}")
            if changed := {bucket for bucket, cost in start.costs.items() if cost != either.get(bucket, cost)}:
                wrong["wrong cost"].append(f"{name} paid {start.costs} for {sorted(changed)}")
        for number, at_us in first_us.items():
            waited_s = self._waited_us(number, at_us) / 1_000_000
            if waited_s > starved_s:
                wrong["held up"].append(
                    f"job c{number} ({self._call_of(number).task}) waited {waited_s:.1f} s while it could have been run"
                )
        return wrong

    def _waited_us(self, number: int, until_us: int) -> int:
        """From its submission on; of a job that needs the new version only while a worker of it lived for sure."""
        from_us = self._submitted_us.get(number, until_us)
        if not needs_new(self._call_of(number)):
            return until_us - from_us
        first = bisect_left(self._looks, from_us, key=lambda look: look.at_us)
        last = bisect_right(self._looks, until_us, key=lambda look: look.at_us) - 1
        return self._new_us[last] - self._new_us[first] if 0 <= first < last else 0

    def _is_watched(self, number: int) -> bool:
        return not FIRST_PROBE <= number < FIRST_BY_NAME and self._call_of(number).task in WATCHED

    @staticmethod
    def _stays(before: _Look, at_us: int, leases_us: Mapping[str, Any]) -> bool:
        return any(until_us >= at_us and worker in leases_us for worker, until_us in before.leases_us.items())
