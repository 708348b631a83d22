"""JobOptions: how one job is submitted, as its caller says it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Never, Self

from runner.clock import MICROSECONDS, wall_us
from runner.errors import InvalidOption, StartOutOfRange
from runner.jobs.flow import OnFailure
from runner.jobs.job import PriorityName
from runner.jobs.unique import UniqueOption
from runner.names import unknown_name
from runner.ranges import checked

LONGEST_DELAY = timedelta(days=366)
"""How far ahead a job can be scheduled."""


class _Options(NamedTuple):
    id: str | None = None
    priority: PriorityName | None = None
    delay: float | None = None
    run_at: datetime | None = None
    cost: Mapping[str, int] | None = None
    max_wait: float | None = None
    deadline: float | None = None
    pool: str | None = None
    unique: UniqueOption | None = None
    tags: Sequence[str] | None = None
    metadata: Mapping[str, Any] | None = None
    after: Sequence[str] | None = None
    on_failure: OnFailure | None = None
    batch: str | None = None


_FEATURES = slice(_Options._fields.index("unique"), _Options._fields.index("metadata"))
_NO_FEATURES = _Options()[_FEATURES]
_FLOWS = slice(_Options._fields.index("after"), len(_Options._fields))
_NO_FLOWS = _Options()[_FLOWS]


class JobOptions(_Options):
    """How one job is submitted.

    id: with an id of your own a submission can be repeated, and is one job. priority: "high", "normal" or "low". delay: seconds
    before the job may start; run_at: the same as an instant with a time zone. cost: tokens by limit name. max_wait: seconds, from
    its delay on, after which a job that has not started expires. deadline: seconds from its submission within which all of it happens, over waits
    and attempts, instead of the task's. pool: whose workers run it, instead of the task's.
    unique: see `Unique`, False for a job that is not although its task is.
    tags: up to 8 words by which it is found, see `JobFilter.tag`. metadata: what travels with it as `JobContext.metadata`, up to 4 kB of JSON by name.
    after: ids of jobs that have to end before; on_failure: what becomes of it if one of them does not succeed, "cancel" (the default), "fail"
    or "run", see `Task.after`. batch: the id of one that is open, which it joins, see `Client.begin_batch`. Raises `InvalidOption` for an option that there is not.
    """

    __slots__ = ()

    def __new__(
        cls,
        id: str | None = None,
        priority: PriorityName | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        cost: Mapping[str, int] | None = None,
        max_wait: float | None = None,
        deadline: float | None = None,
        pool: str | None = None,
        unique: UniqueOption | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        after: Sequence[str] | None = None,
        on_failure: OnFailure | None = None,
        batch: str | None = None,
        **unknown: Never,
    ) -> Self:
        if unknown:
            raise InvalidOption(unknown_name("a submission", "option", next(iter(unknown)), cls._fields))
        places = (pool, unique, tags, metadata, after, on_failure, batch)
        return super().__new__(cls, id, priority, delay, run_at, cost, max_wait, deadline, *places)

    @property
    def has_features(self) -> bool:
        """Whether any of them is one that most jobs have not."""
        return self[_FEATURES] != _NO_FEATURES or self[_FLOWS] != _NO_FLOWS

    def delay_us(self) -> int:
        """µs until the job may start, or the instant as a negative number, see `Submission`. Raises `InvalidOption`."""
        if self.delay is None and self.run_at is None:
            return 0
        if self.delay is not None and self.run_at is not None:
            raise InvalidOption("delay and run_at exclude each other: give one")
        if self.run_at is None:
            return round(checked("delay", self.delay, error=StartOutOfRange) * MICROSECONDS)
        if not isinstance(self.run_at, datetime):
            raise StartOutOfRange(f"run_at is {self.run_at!r:.80}, and must be a datetime with a time zone")
        if self.run_at.tzinfo is None:
            raise StartOutOfRange(f"run_at {self.run_at.isoformat()} has no time zone: add one, like +00:00")
        at_us = round(self.run_at.timestamp() * MICROSECONDS)
        seconds = (at_us - wall_us()) / MICROSECONDS
        if seconds > LONGEST_DELAY.total_seconds():
            raise StartOutOfRange(f"a job can start between now and {LONGEST_DELAY.days} days from now, not in {seconds:g} s")
        return -at_us if at_us > 0 else 0


def check_options(options: JobOptions) -> None:
    """Raises `InvalidOption` for what is none, and for a cost of another kind."""
    if not isinstance(options, JobOptions):
        raise InvalidOption(f"options are {options!r:.80}: give JobOptions(...)")
    if options.cost is not None and not isinstance(options.cost, Mapping):
        raise InvalidOption(f"cost is {options.cost!r:.80}, and must be tokens by limit name, like {{'pay': 3}}")
