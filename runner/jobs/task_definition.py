"""TaskDefinition: a task as its code declares it. Pure: it checks calls and turns them into submissions, and stores nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict

from runner.clock import milliseconds
from runner.errors import ConfigurationError
from runner.foreign import asked
from runner.jobs.arguments import Arguments
from runner.jobs.backoff import Backoff
from runner.jobs.calls import Calls
from runner.jobs.handlers import handler_of, name_of
from runner.jobs.hooks import Hooks
from runner.jobs.injection import Injection
from runner.jobs.job import Priority, PriorityName
from runner.jobs.job_options import JobOptions
from runner.jobs.middleware import Middleware, checked_middleware
from runner.jobs.retry_policy import DEFAULT_RETRIES, RetryPolicy
from runner.jobs.submission import Submission
from runner.jobs.surroundings import Surroundings
from runner.jobs.task_checks import check_options
from runner.jobs.task_spec import TaskSpec
from runner.jobs.unique import UniqueOption, fields_of_unique, uniqueness
from runner.jobs.used_arguments import fields_of, uses_of, uses_of_template
from runner.limits import Limit
from runner.names import DEFAULT_POOL, process_pool
from runner.ranges import checked_whole

DEFAULT_TIMEOUT_S = 300.0


class TaskOptions(TypedDict, total=False):
    """How a task is declared. Times are in seconds.

    limits: a job starts when all of them have tokens for it. cost: tokens by limit name, a number or the name of an argument
    (default 1). fair_by: a template of arguments ("{tenant_id}"); each of its values gets its share of every bucket, by
    weights if given. max_wait: a job that has not started by then ends as expired, or as a dead letter if on_expiry is
    "fail". deadline: from submission on, over all attempts. retries: attempts after the first failed one (default 3; None, for as many as
    fit, with a deadline). timeout: of one attempt (default 300, None for
    none). retry_on, dont_retry_on: types of errors that are worth a retry (default: all), and those of them that are not. backoff: the
    waits between retries. max_throttled: how often a job may be throttled by its provider before it is a dead
    letter (default None: as often as the provider says wait). result_ttl: how long a job is kept that succeeded (default: the setting's day).
    failed_ttl: how long a dead letter is (default: the setting's week). keep: the same for jobs that were cancelled or expired:
    {"cancelled": 3600, "expired": 600}.
    middleware: async functions around each attempt, inside of those of the app.
    pool: whose workers run its jobs (default "default").
    executor: "process" runs a plain function in a child process (default "thread"), see `Children`. max_jobs_per_child: one that has run so many of
    its jobs is replaced (default: after as many of all tasks as `Children` says). unique: one job at a time of those that are
    alike: a template of arguments ("{order_id}"), True for all arguments, `Unique` or `Debounce`.
    """

    name: str
    limits: Sequence[Limit]
    cost: Mapping[str, int | str]
    priority: PriorityName
    pool: str
    fair_by: str
    weights: Mapping[str, int]
    max_wait: float
    on_expiry: Literal["expire", "fail"]
    deadline: float | None
    retries: int | None
    retry_on: Sequence[type[BaseException]]
    dont_retry_on: Sequence[type[BaseException]]
    timeout: float | None
    backoff: Backoff
    max_throttled: int | None
    middleware: Sequence[Middleware]
    result_ttl: float | None
    failed_ttl: float | None
    keep: Mapping[Literal["cancelled", "expired"], float]
    max_jobs_per_child: int | None
    executor: Literal["thread", "process"]
    unique: UniqueOption | None


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """How a worker treats an attempt. in_process: in a child, which is replaced after `max_jobs_per_child` of its jobs. None means no time-out, no end of being throttled, the setting's time to live."""

    retry: RetryPolicy
    timeout_s: float | None
    max_throttled: int | None
    result_ttl_s: float | None
    in_process: bool = False
    max_jobs_per_child: int | None = None


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """One function, with the options of its decorator. Raises `ConfigurationError` for a declaration that could never work."""

    function: Callable[..., Any]
    is_async: bool
    arguments: Arguments
    spec: TaskSpec
    limits: tuple[Limit, ...]
    policy: AttemptPolicy
    calls: Calls
    injection: Injection | None = None
    """Its dependencies; None if it has none."""
    middleware: tuple[Middleware, ...] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)
    """Those of its app."""
    hooks: Hooks = field(default_factory=Hooks)
    """Its own."""

    def __post_init__(self) -> None:
        fault = next(_faults(self.spec, self.limits), None)
        if fault is not None:
            raise ConfigurationError(f"task {self.spec.name!r}: {fault}")

    @property
    def is_bare(self) -> bool:
        """Whether a run is a call of the function and nothing else."""
        return self.injection is None and not (self.middleware or self.surroundings.middleware)

    @classmethod
    def of(cls, function: Callable[..., Any], options: TaskOptions, surroundings: Surroundings | None = None) -> "TaskDefinition":
        """Of a function with the options of `@runner.task(...)`, in the surroundings of its app."""
        name = options["name"] if "name" in options else name_of(function)
        check_options(str(name), options, TaskOptions.__annotations__)
        limits = tuple(options.get("limits", ()))
        handler = handler_of(name, function)
        surroundings = surroundings or Surroundings()
        injection = Injection(handler, surroundings)
        arguments = Arguments(name, function, injection.names)
        in_process = options.get("executor") == "process"
        pool = options.get("pool", DEFAULT_POOL)
        spec = TaskSpec(
            name=name,
            parameters=arguments.schema,
            limits=tuple(limit.name for limit in limits),
            cost=dict(options.get("cost", {})),
            priority=options.get("priority", "normal"),
            description=handler.description,
            fair_by=options.get("fair_by"),
            weights=dict(options.get("weights", {})),
            max_wait=options.get("max_wait"),
            deadline=options.get("deadline"),
            on_expiry=options.get("on_expiry", "expire"),
            pool=process_pool(pool) if in_process else pool,
            form=arguments.form,
            keep=_kept(options),
            dependencies=tuple(sorted(injection.names)),
            unique=None if (unique := uniqueness(options.get("unique"))) is None else fields_of_unique(unique),
        )
        calls = Calls(spec, limits, by_code=True)
        spec = replace(spec, by_code_only=calls.by_code_only)
        policy = AttemptPolicy(
            retry=RetryPolicy(
                retries=options.get("retries", DEFAULT_RETRIES),
                retry_on=tuple(options.get("retry_on", (BaseException,))),
                dont_retry_on=tuple(options.get("dont_retry_on", ())),
                backoff=options.get("backoff", Backoff()),
            ),
            timeout_s=options.get("timeout", DEFAULT_TIMEOUT_S),
            max_throttled=options.get("max_throttled"),
            result_ttl_s=options.get("result_ttl"),
            in_process=in_process,
            max_jobs_per_child=options.get("max_jobs_per_child"),
        )
        dependencies = None if injection.is_empty else injection
        if policy.in_process:
            _check_for_process(f"task {name!r}", injection, is_async=handler.is_async)
        middleware = tuple(checked_middleware(f"task {name!r}", function) for function in options.get("middleware", ()))
        return cls(handler.function, handler.is_async, arguments, spec, limits, policy, calls, dependencies, middleware, surroundings)

    def prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: JobOptions) -> Submission[Any]:
        """Check a call and make it a submission. Raises `SubmissionRefused`."""
        return self.calls.prepare(self.arguments.encode(args, kwargs), options)

    def buckets(self, encoded: bytes) -> dict[str, str]:
        """The bucket of each limit for a job of these arguments, by the limit's name; none if they cannot be read any more."""
        return asked(lambda: self._buckets(encoded), lambda _: {})

    def _buckets(self, encoded: bytes) -> dict[str, str]:
        """The same. Raises a `SubmissionRefused`, and whatever a validator or a serializer raises."""
        return self.calls.buckets(self.arguments.encode_again(self.arguments.decode(encoded)))


def _kept(options: TaskOptions) -> dict[str, int]:
    """How long jobs are kept that ended without success, in ms by state."""
    seconds: dict[str, float | None] = {"failed": options.get("failed_ttl")}
    seconds.update(options.get("keep", {}).items())
    return {state: milliseconds(value) for state, value in seconds.items() if value is not None}


def _check_for_process(whose: str, injection: Injection, *, is_async: bool) -> None:
    """Raises `ConfigurationError` for what needs an event loop, or the worker: a child has neither."""
    if is_async:
        raise ConfigurationError(f"{whose}: executor is 'process', and its function is async: only plain functions run there")
    for step in (*injection.plan.outer, *injection.plan.inner):
        if step.kind.needs_loop or step.per_worker:
            what = "async" if step.kind.needs_loop else "per worker"
            raise ConfigurationError(
                f"{whose}: executor is 'process', and its dependency {step.name} is {what}: a child makes plain ones, per job"
            )


def _faults(spec: TaskSpec, limits: Sequence[Limit]) -> Iterator[str]:
    """What is wrong with a declaration."""
    for share, weight in spec.weights.items():
        checked_whole("weight", weight, of=f"task {spec.name!r}: share {share!r}")
    if spec.priority not in Priority.__members__:
        yield f"priority {spec.priority!r} is unknown (known: {', '.join(Priority.__members__)})"
    for name in spec.limits:
        if spec.limits.count(name) > 1:
            yield f"limit {name!r} is given twice; give it once, and a cost to take more than one token"
    arguments = fields_of(spec.form)
    key = (spec.unique or {}).get("key")
    for use in (*uses_of(spec, limits), *(uses_of_template("unique", key) if key else ())):
        if use.argument not in arguments:
            yield f"{use.what} uses argument {use.argument!r}, which it does not have (it has: {', '.join(arguments)})"
    unknown = spec.cost.keys() - set(spec.limits)
    if unknown:
        yield f"cost names limit {min(unknown)!r}, which it does not use (it uses: {', '.join(spec.limits) or 'none'})"
    for limit in limits:
        cost = spec.cost.get(limit.name, 1)
        if isinstance(cost, int) and cost > limit.capacity:
            yield f"cost {cost} of limit {limit.name!r} is more than its bucket can ever hold ({limit.capacity})"
