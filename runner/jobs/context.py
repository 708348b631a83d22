"""JobContext: what a handler may know and say about its own attempt; `current_job()` gives it, in threads too."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from typing_extensions import override

from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import ConfigurationError
from runner.jobs.job import StartedJob
from runner.jobs.metadata import metadata_in
from runner.jobs.parents import HasParents, ReadParents
from runner.jobs.progress import NOTED, Reported, reported
from runner.jobs.provider_says import ProviderSays, said_of
from runner.jobs.task_definition import TaskDefinition
from runner.limits import EXACT, decode_needs

_MOST_TOKENS = EXACT // 2
"""More than that counts as that: the scripts compute with it exactly."""


class Ties(NamedTuple):
    """What ties attempts to their worker. Each is None where that is not at hand.

    report: called when there is something to be sent, from the handler's thread; `Attempt.take_progress` gives what. counted: called with a
    bucket and what its provider says is left of the account, from the handler's thread. parents: reads what the jobs have returned that
    one comes after.
    """

    report: "Callable[[Attempt], None] | None" = None
    counted: "Callable[[Attempt, str, ProviderSays], None] | None" = None
    parents: ReadParents | None = None


_UNTIED = Ties()


class Attempt:
    """One run of a job, as its worker and its handler share it.

    What few attempts need is set when they need it: its value until then is that of the class.
    """

    task: TaskDefinition | None = None
    """Set once the task is known."""
    progress: Reported | None = None
    """What the handler has said last of its progress."""
    _settled: dict[str, int] | None = None
    _counts: dict[str, ProviderSays] | None = None
    _began_s = 0.0
    _is_due = False

    def __init__(self, job: StartedJob, queue: str = "", ties: Ties = _UNTIED) -> None:
        self.job = job
        self.queue = queue
        self.ties = ties
        if job.deadline_us:
            self._began_s = monotonic_s()

    def settle(self, limit: str, actual: int) -> None:
        """Note the tokens really used of a limit. Raises as `JobContext.settle`."""
        if type(actual) is not int or actual < 0:
            raise ValueError(f"job {self.job.id}: settled {actual!r} tokens of {limit!r}: give a whole number from 0")
        if self._settled is None:
            self._settled = {}
        self._settled[self.bucket(limit)] = min(actual, _MOST_TOKENS)

    def observe(self, limit: str | None, said: object, counter: str | None) -> int | None:
        """Note what a provider says is left. Raises as `JobContext.observe`."""
        bucket = self.bucket(limit)
        if (why := self._why_not_lowered(bucket)) is not None:
            raise ConfigurationError(f"job {self.job.id}: no provider's count lowers limit {bucket.partition('/')[0]!r}: {why}")
        found = said_of(bucket, said, counter, f"job {self.job.id} ({self.job.task})")
        if found is None:
            return None
        self.note_count(bucket, found)
        return found.left

    def _why_not_lowered(self, bucket: str) -> str | None:
        name, limits = bucket.partition("/")[0], self.task.limits if self.task is not None else ()
        return next((limit.why_not_lowered for limit in limits if limit.name == name), None)

    def note_count(self, bucket: str, said: ProviderSays) -> None:
        """Note what is left of the account behind a bucket; the last word counts."""
        if self._counts is None:
            self._counts = {}
        self._counts[bucket] = said
        if self.ties.counted is not None:
            self.ties.counted(self, bucket, said)

    @property
    def counts(self) -> dict[str, ProviderSays]:
        """What providers have said last, by bucket."""
        return dict(self._counts or {})

    def uses(self, limit: str | None) -> bool:
        """Whether `bucket` finds one."""
        try:
            self.bucket(limit)
        except ConfigurationError:
            return False
        return True

    def bucket(self, limit: str | None) -> str:
        """The bucket this job uses of a limit; of its only one, if None. Raises `ConfigurationError` if there is none."""
        if limit is not None and not isinstance(limit, str):
            raise ConfigurationError(f"job {self.job.id}: a limit is named by a text, and this is of type {type(limit).__name__}")
        buckets = {need.limit: need.bucket for need in decode_needs(self.job.limits)}
        if limit not in buckets and self.task is not None and len(self.task.limits) > len(buckets):
            buckets = self.task.buckets(self.job.args) | buckets  # those too of which it took nothing, as its cost was 0
        if limit is None and len(buckets) == 1:
            return next(iter(buckets.values()))
        if limit is None or limit not in buckets:
            raise ConfigurationError(f"job {self.job.id}: it uses no limit {limit!r} (it uses: {', '.join(buckets) or 'none'})")
        return buckets[limit]

    @property
    def deadline_s(self) -> float | None:
        """Seconds that are left until the job's deadline; None if it has none."""
        left_us = self.job.deadline_us
        return None if not left_us else left_us / MICROSECONDS - (monotonic_s() - self._began_s)

    def note_progress(self, progress: Reported) -> None:
        """Note how far the handler is."""
        self.progress = progress
        if not self._is_due and self.ties.report is not None:
            self._is_due = True
            self.ties.report(self)

    def take_progress(self) -> bytes:
        """What was said last, as the store takes it; empty if nothing was."""
        self._is_due = False  # first: what is said from here on is reported again
        return self.progress.encoded(self.job.attempt) if self.progress is not None else b""

    @property
    def settled(self) -> dict[str, int]:
        """What the handler settled, by bucket."""
        return dict(self._settled or {})

    def take_over(self, settled: dict[str, int]) -> None:
        """Note what a handler has settled that ran in another process."""
        self._settled = settled or None

    @property
    def settled_text(self) -> str:
        """What the handler settled, as the store takes it. A thread that goes on past its time-out may still add to it."""
        return ";".join(f"{bucket}={actual}" for bucket, actual in tuple(self._settled.items())) if self._settled else ""


class JobContext(HasParents):
    """The attempt that a handler runs for. What it says of tokens takes effect with its outcome, once, and only if that is accepted.

    An attempt that is lost with its worker keeps its whole charge, as Redis cannot know what it used.
    """

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @property
    @override
    def id(self) -> str:
        """The job's id."""
        return self._attempt.job.id

    @property
    @override
    def _parents(self) -> ReadParents | None:
        return self._attempt.ties.parents

    @property
    def attempt(self) -> int:
        """The attempt's number, from 1."""
        return self._attempt.job.attempt

    @property
    def failures(self) -> int:
        """How many attempts of this job have failed before."""
        return self._attempt.job.failures

    @property
    def deadline_s(self) -> float | None:
        """Seconds that are left until the job's deadline, negative once it has passed; None if it has none."""
        return self._attempt.deadline_s

    @property
    def task(self) -> str:
        """The name of its task."""
        return self._attempt.job.task

    @property
    def metadata(self) -> dict[str, Any]:
        """What its submission (`JobOptions.metadata`) and the hooks `on_submit` of its producer gave it. A new dictionary each time."""
        return metadata_in(self._attempt.job.metadata)

    @property
    def state(self) -> Any:
        """What the lifespan of the app gave, see `Runner.state`. Raises `ConfigurationError` if it gave nothing."""
        task = self._attempt.task
        return state_of(None if task is None else task.surroundings.app)

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> Awaitable[None]:
        """Say how far this attempt is: `done` of `total`, as whatever numbers, and in a `note` of up to 200 characters what it is at.

        It may be called as often as you like, from threads too: the last word goes to Redis twice a second, and with the outcome. It is noted
        when the call returns; to await it does no more. Raises ValueError for what is no number from 0 to 2^53.
        """
        self._attempt.note_progress(reported(done, total, note))
        return NOTED

    def settle(self, limit: str, actual: int) -> None:
        """Say that `actual` tokens of a limit were used instead of the cost taken at the start; more goes into debt.

        A token bucket has at most one capacity of debt, unless it is declared with `debt="kept"`; what is not charged is logged.

        Raises `ConfigurationError` for a limit this job does not use, ValueError for a negative amount.
        """
        self._attempt.settle(limit, actual)

    def observe(self, limit: str | None, said: object, *, counter: str | None = None) -> int | None:
        """Say what the provider's answer tells is left of the account behind a limit: what is told, or None if nothing is.

        Our bucket is lowered to it, and never raised: so what others take of the account counts too. said: a response, its headers, or an error
        that has a response. counter: which count, as "tokens"; without it the one that has no name, or that of requests. None for `limit`: the
        only one of the job. Odd values count as nothing. Raises `ConfigurationError` for a limit this job does not use, and for a Concurrency.
        """
        return self._attempt.observe(limit, said, counter)

    def refund(self, limit: str) -> None:
        """Say that the call was never made: all its tokens of this limit go back."""
        self._attempt.settle(limit, 0)


_current: ContextVar[Attempt] = ContextVar("runner_current_job")


def current_job() -> JobContext:
    """The attempt this handler runs for. Raises `ConfigurationError` outside of one."""
    try:
        return JobContext(_current.get())
    except LookupError:
        raise ConfigurationError("no job is running here: current_job() works inside a task's function, as a worker runs it") from None


def current_attempt() -> Attempt | None:
    """The same for this library; None outside of an attempt."""
    return _current.get(None)


_state: ContextVar[tuple[object, Any]] = ContextVar("runner_state")
"""The app that a worker runs, and what its lifespan gave. The attempts of the worker begin in its context, and so do their threads."""


def enter_state(app: object, value: Any) -> Token[Any]:
    """Make this the state of the app, for the asyncio task that calls and all that it starts."""
    return _state.set((app, value))


def leave_state(token: Token[Any]) -> None:
    """Undo it."""
    _state.reset(token)


def state_of(app: object) -> Any:
    """The state of the app in the worker that runs here. Raises `ConfigurationError` where none does."""
    owner, value = _state.get((None, None))
    if owner is None or owner is not app:
        raise ConfigurationError(
            "there is no state here: a worker of this app enters its lifespan, and its tasks, dependencies, middleware and hooks have it"
        )
    return value


def enter(job: StartedJob, queue: str = "", ties: Ties = _UNTIED) -> Attempt:
    """Make this the current attempt of the asyncio task that calls, and of the threads it starts."""
    attempt = Attempt(job, queue, ties)
    _current.set(attempt)
    return attempt
