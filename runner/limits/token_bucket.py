"""TokenBucket: interval and smooth, in whole credits. No I/O; lua/include/token_bucket.lua computes the same numbers."""

import math
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket
from runner.limits.policy import Limit
from runner.limits.rates import EXACT, duration_in_words, parse_rate


class TokenBucket(Limit):
    """A bucket of `capacity` tokens; a job takes its cost at its start and waits while there are too few.

    Give either `rate` ("10/s", smooth: each token returns by itself, `burst` is the capacity and defaults to the rate's
    tokens) or `capacity`, `refill` and `every` (seconds: `refill` tokens return together at the end of each interval).
    `key` makes one bucket per value of the arguments it names: `key="{tenant_id}"`.

    In any window of W seconds at most `bound(W)` tokens are taken. Raises `ConfigurationError` for a bucket that cannot work.
    """

    kind = "token_bucket"

    def __init__(
        self,
        name: str,
        *,
        rate: str | None = None,
        burst: int | None = None,
        capacity: int | None = None,
        refill: int | None = None,
        every: float | None = None,
        key: str | None = None,
    ) -> None:
        if rate is not None and capacity is None and refill is None and every is None:
            tokens, every_us = parse_rate(rate)
            super().__init__(name, tokens if burst is None else burst, key, capacity_is="rate" if burst is None else "burst")
            self.refill, self.every_us, self.smooth = tokens, every_us, True
        elif rate is None and burst is None and capacity is not None and refill is not None and every is not None:
            super().__init__(name, capacity, key)
            self.refill = self._whole("refill", refill)
            self.every_us, self.smooth = self._span_us("every", every), False
        else:
            message = f"limit {name!r}: give either rate (and burst), or capacity, refill and every"
            raise ConfigurationError(message)
        self._set_steps()

    def _set_steps(self) -> None:
        """Express the rate in whole credits a whole step: an interval bucket refills once an interval, a smooth one each µs."""
        if self.smooth:
            common = math.gcd(self.refill, self.every_us)
            self.step_us, self.credits_a_step, self.credits_a_token = 1, self.refill // common, self.every_us // common
        else:
            self.step_us, self.credits_a_step, self.credits_a_token = self.every_us, self.refill, 1
        if 4 * self.capacity * self.credits_a_token >= EXACT or 4 * self.credits_a_step >= EXACT or self.every_us >= EXACT // 1024:
            message = f"limit {self.name!r}: {self.capacity} tokens at {self.rate} is beyond exact arithmetic; use a smaller burst or a rounder rate"
            raise ConfigurationError(message)

    @property
    def rate(self) -> str:
        """The rate in words."""
        return f"{self.refill}/{duration_in_words(self.every_us)}"

    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds."""
        window_us = round(window_s * MICROSECONDS)
        if self.smooth:
            return self.capacity + self.refill * window_us // self.every_us
        floor, ceiling = window_us // self.every_us, -(-window_us // self.every_us)
        return max(self.capacity + self.refill * floor, self.capacity - 1 + self.refill * ceiling)

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A full bucket, in virtual time."""
        return _Credits(self, BucketState(0, now_us))

    def fields(self) -> dict[str, Any]:
        """What the policy says beside what all kinds say, as the catalog keeps it."""
        return {
            "rate": self.rate,
            "refill": self.refill,
            "every_us": self.every_us,
            "smooth": self.smooth,
            "step_us": self.step_us,
            "credits_a_step": self.credits_a_step,
            "credits_a_token": self.credits_a_token,
            "period_us": -(-self.every_us // self.refill),
        }

    def __repr__(self) -> str:
        pace = (
            f"rate={self.rate!r}, burst={self.capacity}"
            if self.smooth
            else f"capacity={self.capacity}, refill={self.refill}, every={self.every_us / MICROSECONDS:g}"
        )
        return f"TokenBucket({self.name!r}, {pace}" + (f", key={self.key!r})" if self.key else ")")


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket: credits spent and not yet refilled, and the instant of the last whole step applied. A full one is absent in Redis."""

    deficit: int = 0
    time_us: int = 0
    frozen_until_us: int = 0

    def refilled(self, policy: TokenBucket, now_us: int) -> "BucketState":
        """The same bucket at `now_us`. Pure and idempotent: who calls it, and how often, does not matter."""
        if self.deficit <= 0:
            return BucketState(0, now_us, self.frozen_until_us)
        time_us = self.time_us
        if time_us > now_us and time_us > self.frozen_until_us:
            time_us = now_us  # the clock went back: lose at most the step under way, never freeze
        if now_us <= time_us:
            return BucketState(self.deficit, time_us, self.frozen_until_us)
        steps = (now_us - time_us) // policy.step_us
        if steps >= -(-self.deficit // policy.credits_a_step):
            return BucketState(0, now_us, self.frozen_until_us)
        return BucketState(self.deficit - steps * policy.credits_a_step, time_us + steps * policy.step_us, self.frozen_until_us)

    def wait_us(self, policy: TokenBucket, cost: int, now_us: int) -> int:
        """µs until `cost` tokens can be taken, for a bucket refilled at `now_us`; 0 if they can be taken now."""
        need = min(cost, policy.capacity) * policy.credits_a_token
        excess = self.deficit - (policy.capacity * policy.credits_a_token - need)
        tokens_us = self.time_us + -(-excess // policy.credits_a_step) * policy.step_us - now_us if excess > 0 else 0
        return max(self.frozen_until_us - now_us, tokens_us, 0)

    def taken(self, policy: TokenBucket, cost: int) -> "BucketState":
        """The bucket after `cost` tokens were taken; only for a bucket whose wait is 0."""
        return BucketState(self.deficit + cost * policy.credits_a_token, self.time_us, self.frozen_until_us)


class _Credits(Bucket):
    """A `BucketState` that goes along with time."""

    def __init__(self, policy: TokenBucket, state: BucketState) -> None:
        self._policy = policy
        self._state = state

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        self._state = self._state.refilled(self._policy, now_us)
        state = self._state.taken(self._policy, reserved) if reserved else self._state
        return state.wait_us(self._policy, cost, now_us)

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        self._state = self._state.refilled(self._policy, now_us).taken(self._policy, cost)

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        """A token returns with time alone."""
