"""JobContext: what a handler may know and say about its own attempt; `current_job()` gives it, in threads too."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from runner.errors import ConfigurationError
from runner.jobs.job import StartedJob
from runner.limits import Need, decode_needs


@dataclass(slots=True)
class JobContext:
    """The attempt under way. What it says of tokens takes effect with its outcome, once, and only if that is accepted.

    An attempt that is lost with its worker keeps its whole charge: nobody knows what it used.
    """

    id: str
    attempt: int
    failures: int
    needs: Mapping[str, Need]
    settled: dict[str, int] = field(default_factory=dict)

    def settle(self, limit: str, actual: int) -> None:
        """Say that `actual` tokens of a limit were used instead of the cost taken at the start; more goes into debt.

        Raises `ConfigurationError` for a limit this job does not use, ValueError for a negative amount.
        """
        if type(actual) is not int or actual < 0:
            message = f"job {self.id}: settled {actual!r} tokens of {limit!r}: give a whole number from 0"
            raise ValueError(message)
        self.settled[self.bucket(limit)] = actual

    def refund(self, limit: str) -> None:
        """Say that the call was never made: all its tokens of this limit go back."""
        self.settle(limit, 0)

    def bucket(self, limit: str | None) -> str:
        """The bucket this job uses of a limit; of its only one, if None."""
        if limit is None and len(self.needs) == 1:
            return next(iter(self.needs.values())).bucket
        if limit is None or limit not in self.needs:
            message = f"job {self.id}: it uses no limit {limit!r} (it uses: {', '.join(self.needs) or 'none'})"
            raise ConfigurationError(message)
        return self.needs[limit].bucket

    @property
    def settled_text(self) -> str:
        """What was settled, as the store takes it."""
        return ";".join(f"{bucket}={actual}" for bucket, actual in self.settled.items())


class Attempt:
    """What an attempt's handler can reach. The context is made only if it asks."""

    __slots__ = ("context", "job")

    def __init__(self, job: StartedJob) -> None:
        self.job = job
        self.context: JobContext | None = None

    def open_context(self) -> JobContext:
        """The context, made at the first call."""
        if self.context is None:
            needs = {need.limit: need for need in decode_needs(self.job.limits)}
            self.context = JobContext(self.job.id, self.job.attempt, self.job.failures, needs)
        return self.context

    @property
    def settled_text(self) -> str:
        """What the handler settled, as the store takes it."""
        return "" if self.context is None else self.context.settled_text


_current: ContextVar[Attempt] = ContextVar("runner_current_job")


def current_job() -> JobContext:
    """The attempt this handler runs for. Raises `ConfigurationError` outside of one."""
    try:
        return _current.get().open_context()
    except LookupError:
        message = "no job is running here: current_job() works inside a task's function, as a worker runs it"
        raise ConfigurationError(message) from None


def enter(job: StartedJob) -> Attempt:
    """Make this the current attempt of the asyncio task that calls, and of the threads it starts."""
    attempt = Attempt(job)
    _current.set(attempt)
    return attempt
