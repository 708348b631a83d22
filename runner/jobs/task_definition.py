"""TaskDefinition: a task as its code declares it. Pure: it checks calls and turns them into submissions, and stores nothing."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from runner.errors import ConfigurationError
from runner.jobs.arguments import Arguments
from runner.jobs.backoff import Backoff
from runner.jobs.job import Priority
from runner.jobs.submission import JobOptions, Submission, prepare
from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit, template_fields

DEFAULT_TIMEOUT_S = 300.0
DEFAULT_RETRIES = 3
HEAVIEST = 1000
"""The largest weight of a share."""


class TaskOptions(TypedDict, total=False):
    """How a task is declared. Times are in seconds.

    limits: a job starts when all of them have tokens for it. cost: tokens by limit name, a number or the name of an argument
    (default 1). fair_by: a template of arguments ("{tenant_id}"); each of its values gets its share of every bucket, by
    weights if given. max_wait: a job that has not started by then ends as expired, or as a dead letter if on_expiry is
    "fail". retries: attempts after the first failed one (default 3). timeout: of one attempt (default 300, None for
    none). backoff: the waits between retries. result_ttl: how long a finished job is kept (default: the setting's day).
    """

    name: str
    limits: Sequence[Limit]
    cost: Mapping[str, int | str]
    priority: str
    fair_by: str
    weights: Mapping[str, int]
    max_wait: float
    on_expiry: Literal["expire", "fail"]
    retries: int
    timeout: float | None
    backoff: Backoff
    result_ttl: float | None


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """How a worker treats an attempt. `timeout_s` None means no time-out, `result_ttl_s` None the setting's.

    Raises `ConfigurationError` for numbers that cannot be used.
    """

    retries: int
    timeout_s: float | None
    backoff: Backoff
    result_ttl_s: float | None

    def __post_init__(self) -> None:
        if (
            self.retries < 0
            or (self.timeout_s is not None and self.timeout_s <= 0)
            or (self.result_ttl_s is not None and self.result_ttl_s <= 0)
        ):
            raise ConfigurationError(
                f"retries={self.retries}, timeout={self.timeout_s}, result_ttl={self.result_ttl_s} cannot be used:"
                " retries from 0, times above 0"
            )


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """One function, with the options of its decorator. Raises `ConfigurationError` for a declaration that could never work."""

    function: Callable[..., Any]
    is_async: bool
    arguments: Arguments
    spec: TaskSpec
    limits: tuple[Limit, ...]
    policy: AttemptPolicy

    def __post_init__(self) -> None:
        fault = next(_faults(self.spec, self.limits), None)
        if fault is not None:
            raise ConfigurationError(f"task {self.spec.name!r}: {fault}")

    @classmethod
    def of(cls, function: Callable[..., Any], options: TaskOptions) -> "TaskDefinition":
        """Of a function with the options of `@runner.task(...)`."""
        limits = tuple(options.get("limits", ()))
        name = options.get("name", function.__name__)
        arguments = Arguments(name, function)
        spec = TaskSpec(
            name=name,
            parameters=arguments.schema,
            limits=tuple(limit.name for limit in limits),
            cost=dict(options.get("cost", {})),
            priority=options.get("priority", "normal"),
            description=inspect.cleandoc(function.__doc__ or "").partition("\n")[0],
            fair_by=options.get("fair_by"),
            weights=dict(options.get("weights", {})),
            max_wait=options.get("max_wait"),
            on_expiry=options.get("on_expiry", "expire"),
        )
        policy = AttemptPolicy(
            retries=options.get("retries", DEFAULT_RETRIES),
            timeout_s=options.get("timeout", DEFAULT_TIMEOUT_S),
            backoff=options.get("backoff", Backoff()),
            result_ttl_s=options.get("result_ttl"),
        )
        return cls(function, inspect.iscoroutinefunction(function), arguments, spec, limits, policy)

    def prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: JobOptions) -> Submission:
        """Check a call and make it a submission. Raises `SubmissionRefused`."""
        encoded = self.arguments.encode(args, kwargs)
        named = {**self.spec.defaults(), **json.loads(encoded)} if self.limits else None
        return prepare(self.spec, self.limits, encoded, named, options)


def _faults(spec: TaskSpec, limits: Sequence[Limit]) -> Iterator[str]:
    """What is wrong with a declaration."""
    for share, weight in spec.weights.items():
        if type(weight) is not int or not 1 <= weight <= HEAVIEST:
            yield f"weight of {share!r} is {weight!r}, and must be a whole number from 1 to {HEAVIEST}"
    if spec.priority not in Priority.__members__:
        yield f"priority {spec.priority!r} is unknown (known: {', '.join(Priority.__members__)})"
    for name in spec.limits:
        if spec.limits.count(name) > 1:
            yield f"limit {name!r} is given twice; give it once, and a cost to take more than one token"
    arguments = spec.parameters.get("properties", {})
    for name, argument in _used_arguments(spec, limits):
        if argument not in arguments:
            yield f"limit {name!r} uses argument {argument!r}, which it does not have (it has: {', '.join(arguments)})"
    unknown = spec.cost.keys() - set(spec.limits)
    if unknown:
        yield f"cost names limit {min(unknown)!r}, which it does not use (it uses: {', '.join(spec.limits) or 'none'})"


def _used_arguments(spec: TaskSpec, limits: Sequence[Limit]) -> Iterator[tuple[str, str]]:
    """The arguments that keys, costs and shares are made of, each with the name of what uses it."""
    for limit in limits:
        yield from ((limit.name, argument) for argument in template_fields(limit.key or ""))
    yield from ((limit, argument) for limit, argument in spec.cost.items() if isinstance(argument, str))
    yield from (("fair_by", argument) for argument in template_fields(spec.fair_by or ""))
