"""RequestLimiter: decides on one request: as Redis says, or while it is away as `on_error` says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from runner.asgi.allowance import Allowance
from runner.asgi.deadline_limiter import UNFETCHED, DeadlineLimiter
from runner.asgi.local_buckets import LocalBuckets
from runner.asgi.verdict import Standing, Verdict
from runner.clock import MICROSECONDS, monotonic_us
from runner.errors import ConfigurationError
from runner.limits import Need, limit_name
from runner.ranges import checked_whole
from runner.store import Decision, TakeAnswer

OnError = Literal["local", "open", "closed"]

_PAUSED_RETRY_S = 30.0
_UNFETCHED_RETRY_S = 5.0
"""About the time until another worker leads, or a home has failed over."""
_NOT_THE_CALLERS_FAULT = frozenset({"paused", "frozen", "unpublished", *UNFETCHED})


@dataclass(frozen=True, slots=True)
class Fallback:
    """What decides while Redis is away: local buckets, with the share of one of `instances`, or none: all pass, or no request does.

    Raises `ConfigurationError`.
    """

    on_error: OnError
    instances: int

    def __post_init__(self) -> None:
        if self.on_error not in get_args(OnError):
            raise ConfigurationError(f"on_error={self.on_error!r} is unknown (known: {', '.join(get_args(OnError))})")
        checked_whole("instances", self.instances, of="RateLimitMiddleware")


class RequestLimiter:
    """Decides at once and never raises. `most_local` bounds the buckets kept in this process."""

    def __init__(self, limiter: DeadlineLimiter, fallback: Fallback, most_local: int) -> None:
        self._limiter = limiter
        self._fallback = fallback
        self._local = LocalBuckets(most_local)

    async def decide(self, needs: Sequence[Need]) -> Verdict:
        """Take all these tokens, or none."""
        needs = sorted(needs)  # a decision lists what is left in this order
        decision = await self._limiter.decide(needs)
        if decision is not None:
            verdict = verdict_of(decision, needs, self._limiter.allowances)
            return verdict if verdict.status else replace(verdict, taken=self._limiter.taken(needs, decision))
        if self._fallback.on_error == "open":
            return Verdict("admitted")
        if self._fallback.on_error == "closed":
            return Verdict("reduced", retry_after_s=_whole_seconds(self._limiter.next_try_s))
        shares = {name: allowance.shared_by(self._fallback.instances) for name, allowance in self._limiter.allowances.items()}
        wait_us, bucket, left = self._local.take(needs, shares, monotonic_us())
        state = TakeAnswer.refused if wait_us else TakeAnswer.taken
        return verdict_of(Decision(state, wait_us / MICROSECONDS, bucket, "tokens", left), needs, shares)


def verdict_of(decision: Decision, needs: Sequence[Need], allowances: Mapping[str, Allowance]) -> Verdict:
    """What the caller is told of a decision about these (sorted) needs."""
    lacked = limit_name(decision.bucket)
    if decision.reason in _NOT_THE_CALLERS_FAULT:
        wait_s = _UNFETCHED_RETRY_S if decision.reason in UNFETCHED else decision.wait_s or _PAUSED_RETRY_S
        return Verdict("reduced", violated=(lacked,), retry_after_s=_whole_seconds(wait_s))
    names = [need.limit for need in needs]
    standings = tuple(
        Standing(allowances[name], None if allowances[name].is_shared else left, allowances[name].effective_s(left, next_s))
        for name, (left, next_s) in zip(names, decision.left, strict=True)
    )
    if decision.state is TakeAnswer.taken:
        return Verdict("admitted", standings)
    retry_after_s = _whole_seconds(decision.wait_s or _PAUSED_RETRY_S)
    violated = tuple(
        name
        for name, need, standing in zip(names, needs, standings, strict=True)
        if name == lacked or (standing.left is not None and standing.left < need.cost)
    )
    # Retry-After is the longest wait, so the fields of no violated limit may name a later time.
    told = tuple(
        Standing(standing.allowance, standing.left or 0, retry_after_s if name == lacked else min(standing.effective_s, retry_after_s))
        if name in violated
        else standing
        for name, standing in zip(names, standings, strict=True)
    )
    return Verdict("exceeded", told, violated, retry_after_s)


def _whole_seconds(seconds: float) -> int:
    return max(math.ceil(seconds), 1)
