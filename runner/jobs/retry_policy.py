"""RetryPolicy: what an attempt comes to whose handler raised. One decision for workers, their child processes and tests; pure but for jitter.

Whatever an error of the handler's answers when asked, there is a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from runner.errors import ConfigurationError, GiveUp, RateLimited, Retry
from runner.foreign import asked, is_a, leaves_of
from runner.jobs.backoff import Backoff
from runner.jobs.job import Ending
from runner.limits import Word, rate_limited_in, read
from runner.ranges import checked

ErrorTypes = tuple[type[BaseException], ...]

DEFAULT_RETRIES = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failed attempts of a task are followed by another one, and when.

    retries: attempts after the first failed one; None: as many as fit before the job's deadline. retry_on: the errors that are worth
    another attempt, as `except` takes them. dont_retry_on: those of them that are not.
    """

    retries: int | None = DEFAULT_RETRIES
    retry_on: ErrorTypes = (BaseException,)
    dont_retry_on: ErrorTypes = ()
    backoff: Backoff = field(default_factory=Backoff)

    def within(self, has_deadline: bool) -> "RetryPolicy":
        """That of one job. Without a deadline, as one has that was submitted before its task got one, retries have an end."""
        return self if has_deadline or self.retries is not None else replace(self, retries=DEFAULT_RETRIES)

    def allows(self, error: BaseException) -> bool:
        """Whether an error that is no group is worth another attempt."""
        return any(is_a(error, kind) for kind in self.retry_on) and not any(is_a(error, kind) for kind in self.dont_retry_on)


class Throttle(NamedTuple):
    """A provider has said wait: the limit that its handler named (None: the only one of its task), and for how long."""

    limit: str | None
    word: Word


class Verdict(NamedTuple):
    """What an error makes of an attempt: `failed` (a dead letter), `retry` after `delay_s` seconds, or `throttled`.

    error: the one that decided, which is recorded; a group itself if none of its members has the last word. throttles: all that say wait,
    in the order in which their limits are looked for.
    """

    ending: Ending
    error: BaseException
    delay_s: float = 0.0
    throttles: Sequence[Throttle] = ()


def verdict(error: BaseException, policy: RetryPolicy, failures: int, now: float) -> Verdict:
    """What an error makes of an attempt after so many failed ones. `now`: seconds since 1970, for providers that name an instant.

    In this order, a group being as good as its members: `GiveUp`; `RateLimited`; `Retry`; a `RateLimited` among the causes of other errors;
    the task's types of errors, of which every member of a group must be worth a retry; the back-off.
    """
    leaves = leaves_of(error)
    given_up = _first(leaves, GiveUp)
    if given_up is not None:
        return Verdict(Ending.failed, given_up)
    again = _first(leaves, Retry)
    if again is None or _first(leaves, RateLimited) is not None:
        said = rate_limited_in(error)
        if said:
            return Verdict(Ending.throttled, error, throttles=[_throttle(one, now) for one in said])
    retry = failures + 1
    is_last = policy.retries is not None and retry > policy.retries
    if again is None:
        if is_last or not all(map(policy.allows, leaves)):
            return Verdict(Ending.failed, error)
        return Verdict(Ending.retry, error, policy.backoff.delay_s(retry))
    asked_for = _delay_of(again)
    decided = asked_for if isinstance(asked_for, ConfigurationError) else again
    if is_last:
        return Verdict(Ending.failed, decided)
    return Verdict(Ending.retry, decided, asked_for if isinstance(asked_for, float) else policy.backoff.delay_s(retry))


def _first(leaves: Sequence[BaseException], kind: type[BaseException]) -> BaseException | None:
    return next((leaf for leaf in leaves if is_a(leaf, kind)), None)


def _throttle(said: RateLimited, now: float) -> Throttle:
    limit = asked(lambda: said.limit, lambda _: None)
    return Throttle(limit, read(asked(lambda: said.retry_after, lambda _: None), now))


def _delay_of(again: BaseException) -> float | ConfigurationError | None:
    """The wait that a handler asks for; None for the back-off, an error for what is no wait."""

    def delay() -> float | None:
        given = again.delay  # type: ignore[attr-defined] # it is a Retry
        return None if given is None else float(checked("delay", given, of="Retry"))

    return asked(delay, lambda wrong: wrong if type(wrong) is ConfigurationError else ConfigurationError("Retry: its delay cannot be read"))
