"""ScheduleSpec: when a task is to run by itself, and how; pure: it computes instants, and what is to be done about those that have passed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from runner.clock import MICROSECONDS, microseconds
from runner.errors import InvalidSchedule
from runner.foreign import shown
from runner.jobs.cron import checked_cron, cron_after, zone_named
from runner.jobs.schedule_options import kept_options
from runner.names import SHORT_NAME, fits
from runner.ranges import checked

Missed = Literal["latest", "all", "skip"]
Overlap = Literal["skip", "queue", "allow"]
MISSED = ("latest", "all", "skip")
OVERLAP = ("skip", "queue", "allow")
GRACE_S = 60.0
MOST_RUNS = 100
"""Instants of one schedule that are run at one time: with missed="all" the latest of them."""
_A_PAGE = 5_000
"""Instants of one schedule that one plan goes through; the next plan goes on."""


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """A schedule: `cron` in the time zone `tz`, or `every_us` from `start_us` on, or from the instant it was added.

    missed: what is done about instants that have passed while nobody fired them. overlap: what, if the run before has not ended. Times are in µs.
    """

    name: str
    task: str
    args: Mapping[str, Any] = field(default_factory=dict)
    cron: str | None = None
    every_us: int | None = None
    tz: str = "UTC"
    start_us: int | None = None
    end_us: int | None = None
    missed: str = "latest"
    grace_us: int = microseconds(GRACE_S)
    overlap: str = "skip"
    jitter_us: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The same text for the same schedule."""
        given = {name: value for name, value in asdict(self).items() if name != "name" and value is not None}
        return json.dumps(given, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, name: str, text: str | bytes) -> "ScheduleSpec":
        """A schedule without what a newer version may have added to it. Raises ValueError for a damaged one."""
        given = json.loads(text)
        if not isinstance(given, dict) or not isinstance(given.get("task"), str):
            raise ValueError("it is no schedule")  # noqa: TRY004 - of the value, not of a call
        known = {each.name for each in fields(cls)} - {"name"}
        return cls(name, **{key: value for key, value in given.items() if key in known})

    @property
    def words(self) -> str:
        """When it runs, for people: `0 6 * * 1-5 America/New_York`, `every 30 s`."""
        if self.cron is not None:
            return f"{self.cron} {self.tz}"
        return f"every {(self.every_us or 0) / MICROSECONDS:g} s"

    def after(self, instant_us: int, anchor_us: int) -> int | None:
        """The first of its instants after this one; None if there is none any more. `anchor_us`: when it was added."""
        instant_us = instant_us if self.start_us is None else max(instant_us, self.start_us - 1)
        if self.cron is not None:
            following = cron_after(self.cron, self.tz, instant_us)
        else:
            begin_us, every_us = self._grid(anchor_us)
            # An instant that was added is no run by itself; a start that was given is the first one.
            first = 0 if self.start_us is not None else 1
            following = begin_us + max((instant_us - begin_us) // every_us + 1, first) * every_us
        return None if following is None or (self.end_us is not None and following > self.end_us) else following

    def due_us(self, nominal_us: int) -> int:
        """When this instant is run: later by its jitter, which is the same for everybody."""
        if not self.jitter_us:
            return nominal_us
        digest = hashlib.blake2b(f"{self.name} {nominal_us}".encode(), digest_size=8).digest()
        return nominal_us + int.from_bytes(digest) % self.jitter_us

    def job_id(self, nominal_us: int) -> str:
        """The id of the job of this instant: `nightly:20261128T060000Z`."""
        instant = datetime.fromtimestamp(nominal_us // MICROSECONDS, UTC)
        fraction = f".{nominal_us % MICROSECONDS:06d}" if nominal_us % MICROSECONDS else ""
        return f"{self.name}:{instant:%Y%m%dT%H%M%S}{fraction}Z"

    def following(self, nominal_us: int | None, anchor_us: int) -> Iterator[int]:
        """This instant and those after it."""
        while nominal_us is not None:
            yield nominal_us
            nominal_us = self.after(nominal_us, anchor_us)

    def _grid(self, anchor_us: int) -> tuple[int, int]:
        return (anchor_us if self.start_us is None else self.start_us), self.every_us or MICROSECONDS

    def skipped_ahead(self, nominal_us: int, now_us: int) -> int:
        """How many instants of a grid have surely passed, but for the last page of them: they need not be looked at one by one."""
        if self.every_us is None:
            return 0
        passed = (min(now_us, self.end_us or now_us) - self.jitter_us - nominal_us) // self.every_us
        return max(passed - _A_PAGE, 0)


class Plan(NamedTuple):
    """What is to be done about a schedule that is due.

    runs: the instants to run. missed: how many others have passed, and `last` the latest of all. following: the next instant; None if there is none.
    """

    runs: list[int]
    missed: int
    last: int
    following: int | None


def plan(spec: ScheduleSpec, nominal_us: int, now_us: int, anchor_us: int) -> Plan:
    """What is to be done at `now_us` about this instant, which is due, and about those after it that are due too.

    Of very many it does a part, all of them missed; the rest is due at once.
    """
    ahead = spec.skipped_ahead(nominal_us, now_us)
    missed, first_us = ahead, nominal_us + ahead * (spec.every_us or 0)
    passed: list[int] = []
    following: int | None = None
    for instant in spec.following(first_us, anchor_us):
        following = instant
        if passed and (spec.due_us(instant) > now_us or len(passed) == _A_PAGE):
            break
        passed.append(instant)
        following = None
    if len(passed) == _A_PAGE and following is not None and spec.due_us(following) <= now_us:
        # The latest of these may be among those that run, which only the next plan knows.
        following = passed[-MOST_RUNS]
        passed = passed[:-MOST_RUNS]
        return Plan([], missed + len(passed), passed[-1], following)
    runs = _runs(spec, passed, now_us)
    return Plan(runs, missed + len(passed) - len(runs), passed[-1], following)


def _runs(spec: ScheduleSpec, passed: list[int], now_us: int) -> list[int]:
    if spec.missed == "latest":
        return passed[-1:]
    if spec.missed == "skip":
        passed = [instant for instant in passed if now_us - spec.due_us(instant) <= spec.grace_us]
    return passed[-MOST_RUNS:]


def check_schedule_name(name: object) -> str:
    """The name. Raises `InvalidSchedule` for one that cannot begin the ids of its jobs."""
    if not fits(SHORT_NAME, name):
        raise InvalidSchedule(f"schedule name {shown(name, 80)} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'")
    return str(name)


def make_schedule(
    name: object,
    task: str,
    args: Mapping[str, Any] | None = None,
    *,
    cron: str | None = None,
    every: float | None = None,
    tz: str = "UTC",
    start: datetime | None = None,
    end: datetime | None = None,
    missed: str = "latest",
    grace: float = GRACE_S,
    overlap: str = "skip",
    jitter: float = 0.0,
    options: Mapping[str, Any] | None = None,
) -> ScheduleSpec:
    """A schedule of what a program or a person gives. Raises `InvalidSchedule`, which names the value and the remedy."""
    name = check_schedule_name(name)
    of = f"schedule {name!r}"
    if (cron is None) == (every is None):
        raise InvalidSchedule(f"{of}: give either cron, like '0 6 * * 1-5', or every, in seconds")
    if every is not None and tz != "UTC":
        raise InvalidSchedule(f"{of}: tz is for cron; every={every:g} counts seconds, whatever the clock shows")
    zone_named(tz)
    start_us, end_us = _instant_us(of, "start", start), _instant_us(of, "end", end)
    if start_us is not None and end_us is not None and end_us < start_us:
        raise InvalidSchedule(f"{of}: end {end} is before its start {start}")
    every_us = None if every is None else microseconds(checked("interval", every, error=InvalidSchedule, of=of))
    jitter_us = microseconds(checked("jitter of a schedule", jitter, error=InvalidSchedule, of=of))
    if every_us is not None and jitter_us > every_us:
        raise InvalidSchedule(f"{of}: jitter {jitter:g} is longer than its interval of {every:g} s")
    return ScheduleSpec(
        name=name,
        task=task,
        args=dict(args or {}),
        cron=None if cron is None else checked_cron(cron),
        every_us=every_us,
        tz=tz,
        start_us=start_us,
        end_us=end_us,
        missed=_one_of(of, "missed", missed, MISSED),
        grace_us=microseconds(checked("grace of a schedule", grace, error=InvalidSchedule, of=of)),
        overlap=_one_of(of, "overlap", overlap, OVERLAP),
        jitter_us=jitter_us,
        options=kept_options(of, options or {}),
    )


def _one_of(of: str, option: str, value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidSchedule(f"{of}: {option} is {shown(value, 40)}, and must be one of {', '.join(known)}")
    return str(value)


def _instant_us(of: str, option: str, instant: object) -> int | None:
    if instant is None:
        return None
    if not isinstance(instant, datetime):
        raise InvalidSchedule(f"{of}: {option} is {shown(instant, 80)}, and must be a datetime with a time zone")
    if instant.tzinfo is None:
        raise InvalidSchedule(f"{of}: {option} {instant.isoformat()} has no time zone: add one, like +00:00")
    return round(instant.timestamp() * MICROSECONDS)
