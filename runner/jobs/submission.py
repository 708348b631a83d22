"""Submission: one job, checked and ready to be stored, and how it is made of a call and its options."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Self

from pydantic_core import to_json
from typing_extensions import TypeVar

from runner.clock import MICROSECONDS
from runner.errors import ExceedsCapacity, InvalidOption, StartOutOfRange, UnknownLimit
from runner.jobs.flow import OnFailure, checked_parents, flow_features
from runner.jobs.job import Priority, check_job_id, new_job_id
from runner.jobs.job_options import JobOptions
from runner.jobs.metadata import metadata_of_options
from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit, Need, bucket_name, encode_needs, in_pool, key_of, key_values
from runner.names import DEFAULT_POOL, is_process_pool, process_pool, wrong_pool
from runner.ranges import checked

_WITH_METADATA, _WITH_FEATURES = 2, 3
_PRIORITIES = {priority.name: int(priority) for priority in Priority}


R_co = TypeVar("R_co", covariant=True, default=Any)


class Submission(NamedTuple, Generic[R_co]):
    """One job on its way to Redis: arguments are encoded and checked, the buckets it needs are known. R_co is the type of its result.

    A named tuple, as one is made for every job: it costs a third of a frozen dataclass to make.
    """

    id: str
    args: bytes
    task: str
    limits: str = ""
    line: str = ""
    priority: int = int(Priority.normal)
    delay_us: int = 0
    """µs from its acceptance on; a negative number is an instant, in µs since 1970, that Redis compares with its own clock."""
    max_wait_us: int = 0
    on_expiry: str = "expire"
    deadline_us: int = 0
    """µs from its acceptance on, within which all of it must happen; 0 for no deadline."""
    spec: str = ""
    """The digest of what its needs come from, see `Calls`."""
    has_call: int = 0
    """1 if `call` goes along, which only a job with an id of the caller's own has use for; 2 if `metadata` does too, 3 if `features` too."""
    call: str = ""
    """The fingerprint of task and arguments, see `Fingerprints`."""
    metadata: str = ""
    """What its caller and hooks gave it, as JSON."""
    features: str = ""
    """What it has that most jobs have not, as a JSON object that include/features.lua reads."""
    after: tuple[str, ...] = ()
    """The jobs that it comes after."""

    @property
    def is_held(self) -> bool:
        """Whether it waits until other jobs have ended."""
        features = json.loads(self.features) if self.features else {}
        return "follow" in features or "ends_batch" in features

    def with_features(self, **more: Any) -> Self:
        """The same job with these features besides those it has."""
        known = json.loads(self.features) if self.features else {}
        return self._replace(has_call=3, features=to_json({**known, **more}).decode())

    def after_jobs(self, ids: Iterable[str], on_failure: OnFailure) -> Self:
        """The same job, after these. Raises `InvalidOption`."""
        parents = checked_parents(ids)
        return self.with_features(follow=flow_features(parents, on_failure))._replace(after=parents)

    def own(self) -> tuple[str | bytes, ...]:
        """What differs from job to job, in the order of include/acceptance.lua."""
        if self.has_call:
            return (self.id, self.args, self.call, self.metadata, self.features)[: 2 + self.has_call]
        return self[:2]

    def shared(self) -> tuple[str | int, ...]:
        """What many jobs of a task have in common, in the order of include/acceptance.lua."""
        return self[2:12]


def max_wait_us(spec: TaskSpec, options: JobOptions) -> int:
    """µs after which a job that has not started expires; 0 if it never does. Raises `InvalidOption`."""
    seconds = spec.max_wait if options.max_wait is None else options.max_wait
    if seconds is None:
        return 0
    return round(checked("max_wait", seconds, error=InvalidOption) * MICROSECONDS)


def deadline_us(spec: TaskSpec, options: JobOptions) -> int:
    """µs after which a job has ended; 0 if it has no deadline. Raises `InvalidOption`."""
    given = spec.deadline if options.deadline is None else options.deadline
    if given is None:
        return 0
    seconds = checked("deadline of a job", given, error=InvalidOption, of=f"task {spec.name!r}")
    if options.delay is not None and options.delay >= seconds:
        raise StartOutOfRange(
            f"delay is {options.delay:g}, and this job of task {spec.name!r} ends {seconds:g} s after its submission (deadline)"
        )
    return round(seconds * MICROSECONDS)


def made_by_schedule(job: Submission[R_co], name: str) -> Submission[R_co]:
    """The job as one of a schedule, which is told of its end."""
    features = json.dumps({**json.loads(job.features or "{}"), "schedule": name}, separators=(",", ":"))
    return job._replace(has_call=_WITH_FEATURES, features=features)


def prepare(
    spec: TaskSpec,
    limits: Sequence[Limit],
    encoded: bytes,
    args: Mapping[str, Any],
    options: JobOptions,
    costs: Mapping[str, int] | None = None,
    digest: str = "",
    call: str = "",
    same_needs: dict[int, tuple[str, str]] | None = None,
    features: str = "",
) -> Submission:
    """One job, ready for the store.

    args: the scalars that keys and shares are made of, needed only for a task with limits. costs: by limit, where the task does not fix
    them; without them those of the options count. same_needs: by priority the limits and line of calls that all need the same, kept here.
    Raises a `SubmissionRefused` for a job that could never start.
    """
    unknown = options.cost and options.cost.keys() - {limit.name for limit in limits}
    if unknown:
        raise UnknownLimit(f"task {spec.name!r} has no limit {min(unknown)!r} to charge (its limits: {', '.join(spec.limits) or 'none'})")
    priority = _priority(spec.priority if options.priority is None else options.priority)
    text = line = ""
    if limits:
        found = None if same_needs is None else same_needs.get(priority)
        if found is None:
            needs = needs_of_call(spec, limits, args, options.cost or {} if costs is None else costs)
            found = encoded_needs(spec, needs, args, priority)
            if same_needs is not None:
                same_needs[priority] = found
        text, line = found
    if (spec.pool != DEFAULT_POOL or options.pool is not None) and (pool := _pool_of(spec, options)) != DEFAULT_POOL:
        line = in_pool(line, pool)
    metadata = "" if options.metadata is None else metadata_of_options(options.metadata)
    # By position: one is made for every job, and by name that takes twice as long.
    return Submission(
        new_job_id() if options.id is None else check_job_id(options.id),
        encoded,
        spec.name,
        text,
        line,
        priority,
        options.delay_us(),
        max_wait_us(spec, options),
        spec.on_expiry,
        deadline_us(spec, options),
        digest,
        _WITH_FEATURES if features else _WITH_METADATA if metadata else 1 if call else 0,
        call,
        metadata,
        features,
        tuple(dict.fromkeys(options.after or ())),
    )


def needs_of_call(
    spec: TaskSpec, limits: Sequence[Limit], args: Mapping[str, Any], given: Mapping[str, int], agreed: Mapping[str, Need] | None = None
) -> list[Need]:
    """What a job takes of each limit, also where it takes nothing. Raises a `SubmissionRefused`.

    given: costs in the place of the task's. agreed: by bucket, what stays as it is.
    """
    names = [bucket_name(limit.name, limit.key, args) for limit in limits]
    known = agreed or {}
    return [known.get(name) or _need(spec, limit, name, args, given) for limit, name in zip(limits, names, strict=True)]


def encoded_needs(spec: TaskSpec, needs: Iterable[Need], args: Mapping[str, Any], priority: int) -> tuple[str, str]:
    """(limits, line) of a job with these needs, as the scripts read them; see `encode_needs`."""
    share, weight = "", 1
    if spec.fair_by is not None:
        share = key_of("fair_by", spec.fair_by, args)
        if spec.weights:
            weight = spec.weights.get(spec.fair_by.format_map(key_values("fair_by", spec.fair_by, args)), 1)
    return encode_needs((need for need in needs if need.cost > 0), share, weight, priority)


def _need(spec: TaskSpec, limit: Limit, bucket: str, args: Mapping[str, Any], given: Mapping[str, int]) -> Need:
    cost: Any = given.get(limit.name, spec.cost.get(limit.name, 1))
    if isinstance(cost, str):
        cost = args.get(cost)
    if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
        raise InvalidOption(f"cost of limit {limit.name!r} is {cost!r}: give a whole number of tokens, 0 or more")
    if cost > limit.capacity:
        raise ExceedsCapacity(f"cost {cost} of limit {limit.name!r} is more than its bucket can ever hold ({limit.capacity})")
    return Need(bucket, cost, limit.gives_back)


def _pool_of(spec: TaskSpec, options: JobOptions) -> str:
    """The task's, or the one that the caller names; of a task that runs in processes the one beside that, which can be named too."""
    pool = spec.pool if options.pool is None else options.pool
    in_processes = is_process_pool(spec.pool)
    if wrong := wrong_pool(pool, has_jobs=in_processes):
        raise InvalidOption(wrong)
    return process_pool(pool) if in_processes else pool


def _priority(name: str) -> int:
    try:
        return _PRIORITIES[name]
    except (KeyError, TypeError):
        raise InvalidOption(f"priority {name!r} is unknown (known: {', '.join(p.name for p in Priority)})") from None
