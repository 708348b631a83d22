"""Submission: one job, checked and ready to be stored, and how it is made of a call and its options."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from runner.clock import MICROSECONDS, wall_us
from runner.errors import ExceedsCapacity, InvalidOption, StartOutOfRange, UnknownLimit
from runner.jobs.job import Priority, check_job_id, new_job_id
from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit, Need, bucket_name, encode_needs, key_value

LONGEST_DELAY = timedelta(days=366)
"""How far ahead a job can be scheduled."""
_PRIORITIES = {priority.name: int(priority) for priority in Priority}


class Submission(NamedTuple):
    """One job on its way to Redis: arguments are encoded and checked, the buckets it needs are known.

    A named tuple, as one is made for every job: it costs a third of a frozen dataclass to make.
    """

    id: str
    args: bytes
    task: str
    limits: str = ""
    line: str = ""
    priority: int = int(Priority.normal)
    delay_us: int = 0
    max_wait_us: int = 0
    on_expiry: str = "expire"

    def own(self) -> tuple[str, bytes]:
        """What differs from job to job, in the order of submit.lua."""
        return self[:2]

    def shared(self) -> tuple[str, str, str, int, int, int, str]:
        """What many jobs of a task have in common, in the order of submit.lua."""
        return self[2:]


class JobOptions(NamedTuple):
    """How one job is submitted.

    id: with an id of your own a submission can be repeated, and is one job. priority: "high", "normal" or "low". delay: seconds
    before the job may start; run_at: the same as an instant with a time zone. cost: tokens by limit name. max_wait: seconds, from
    its delay on, after which a job that has not started expires.
    """

    id: str | None = None
    priority: str | None = None
    delay: float | None = None
    run_at: datetime | None = None
    cost: Mapping[str, int] | None = None
    max_wait: float | None = None

    def delay_us(self) -> int:
        """µs until the job may start. Raises `InvalidOption`."""
        if self.delay is None and self.run_at is None:
            return 0
        if self.delay is not None and self.run_at is not None:
            raise InvalidOption("delay and run_at exclude each other: give one")
        seconds = 0.0 if self.delay is None else self.delay
        if self.run_at is not None:
            if self.run_at.tzinfo is None:
                raise StartOutOfRange(f"run_at {self.run_at.isoformat()} has no time zone: add one, like +00:00")
            seconds = max(self.run_at.timestamp() - wall_us() / MICROSECONDS, 0.0)
        if not 0 <= seconds <= LONGEST_DELAY.total_seconds():
            raise StartOutOfRange(f"a job can start between now and {LONGEST_DELAY.days} days from now, not in {seconds:g} s")
        return round(seconds * MICROSECONDS)


def max_wait_us(spec: TaskSpec, options: JobOptions) -> int:
    """µs after which a job that has not started expires; 0 if it never does. Raises `InvalidOption`."""
    seconds = spec.max_wait if options.max_wait is None else options.max_wait
    if seconds is None:
        return 0
    if not 0 < seconds <= LONGEST_DELAY.total_seconds():
        raise InvalidOption(f"max_wait of {seconds:g} s cannot be used: give more than 0 s and at most {LONGEST_DELAY.days} days")
    return max(round(seconds * MICROSECONDS), 1)


def prepare(spec: TaskSpec, limits: Sequence[Limit], encoded: bytes, args: Mapping[str, Any] | None, options: JobOptions) -> Submission:
    """One job, ready for the store. `args` are the JSON arguments with defaults, needed only for a task with limits.

    Raises a `SubmissionRefused` for a job that could never start.
    """
    unknown = options.cost and options.cost.keys() - {limit.name for limit in limits}
    if unknown:
        raise UnknownLimit(f"task {spec.name!r} has no limit {min(unknown)!r} to charge (its limits: {', '.join(spec.limits) or 'none'})")
    text, line = _needs_and_line(spec, limits, args or {}, options.cost or {}) if limits else ("", "")
    return Submission(
        id=new_job_id() if options.id is None else check_job_id(options.id),
        task=spec.name,
        args=encoded,
        limits=text,
        line=line,
        priority=_priority(options.priority or spec.priority),
        delay_us=options.delay_us(),
        max_wait_us=max_wait_us(spec, options),
        on_expiry=spec.on_expiry,
    )


def _needs_and_line(spec: TaskSpec, limits: Sequence[Limit], args: Mapping[str, Any], given: Mapping[str, int]) -> tuple[str, str]:
    """The buckets a job needs, and the line in which it waits for them."""
    needs = [need for need in (_need(spec, limit, args, given) for limit in limits) if need.cost > 0]
    share = "" if spec.fair_by is None else key_value(spec.name, spec.fair_by, args)
    return encode_needs(needs, share, spec.weights.get(share, 1))


def _need(spec: TaskSpec, limit: Limit, args: Mapping[str, Any], given: Mapping[str, int]) -> Need:
    cost: Any = given.get(limit.name, spec.cost.get(limit.name, 1))
    if isinstance(cost, str):
        cost = args.get(cost)
    if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
        raise InvalidOption(f"cost of limit {limit.name!r} is {cost!r}: give a whole number of tokens, 0 or more")
    if cost > limit.capacity:
        raise ExceedsCapacity(f"cost {cost} of limit {limit.name!r} is more than its bucket can ever hold ({limit.capacity})")
    return Need(bucket_name(limit.name, limit.key, args), cost, limit.gives_back)


def _priority(name: str) -> int:
    try:
        return _PRIORITIES[name]
    except KeyError:
        raise InvalidOption(f"priority {name!r} is unknown (known: {', '.join(p.name for p in Priority)})") from None
