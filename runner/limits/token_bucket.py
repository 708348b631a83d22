"""TokenBucket: interval and smooth, in whole credits. No I/O; lua/include/token_bucket.lua computes the same numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from typing_extensions import override

from runner.clock import MICROSECONDS, microseconds
from runner.errors import ConfigurationError
from runner.limits.bucket import Bucket, Burst, StoredBucket, lead_us
from runner.limits.limit_text import Form, LimitText, whole_number
from runner.limits.policy import Limit
from runner.limits.rates import EXACT, duration_in_words, parse_rate

Debt = Literal["capped", "kept"]


class TokenBucket(Limit):
    """A bucket of `capacity` tokens; a job takes its cost at its start and waits while there are too few.

    Give either `rate` ("10/s", smooth: each token comes back by itself, `burst` is the capacity and defaults to the rate's
    tokens) or `capacity`, `refill` and `every` (seconds: `refill` tokens come back together at the end of each interval).
    `key` makes one bucket per value of the arguments it names: `key="{tenant_id}"`.
    What a job settles beyond its cost makes a debt of at most one capacity, so that a wrong number closes no bucket for years; with
    `debt="kept"` all of it is charged.

    In any window of W seconds at most `bound(W)` tokens are taken. Raises `ConfigurationError` for a bucket that cannot work.
    """

    kind = "token_bucket"
    numbers = frozenset({"rate", "burst", "capacity", "refill", "every"})
    script_fields = frozenset({"step_us", "credits_a_step", "credits_a_token"})
    forms = (
        Form("", "10/s or NAME=10/s,burst=20 (smooth)", frozenset({"burst"})),
        Form("interval", "interval:10,+2/10s (capacity 10, 2 more every 10 s)", frozenset({"refill"})),
    )

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
        debt: Debt = "capped",
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
            raise ConfigurationError(f"limit {name!r}: give either rate (and burst), or capacity, refill and every")
        if debt not in ("capped", "kept"):
            raise ConfigurationError(f"limit {name!r}: debt={debt!r} is unknown (known: capped, kept)")
        self.debt: Debt = debt
        self.window_us = self.every_us
        self.fill_us = -(-self.capacity * self.every_us // self.refill)
        self._set_steps()

    def _set_steps(self) -> None:
        """Express the rate in whole credits per step: an interval bucket refills once an interval, a smooth one each µs."""
        if self.smooth:
            common = math.gcd(self.refill, self.every_us)
            self.step_us, self.credits_a_step, self.credits_a_token = 1, self.refill // common, self.every_us // common
        else:
            self.step_us, self.credits_a_step, self.credits_a_token = self.every_us, self.refill, 1
        if 4 * self.capacity * self.credits_a_token >= EXACT or 4 * self.credits_a_step >= EXACT or self.every_us >= EXACT // 1024:
            raise ConfigurationError(
                f"limit {self.name!r}: {self.capacity} tokens at {self.rate} is beyond exact arithmetic; use a smaller burst or a rounder rate"
            )

    @property
    @override
    def rate(self) -> str:
        """The rate in words."""
        return f"{self.refill}/{duration_in_words(self.every_us)}"

    @property
    @override
    def words(self) -> str:
        """The rate, and the most that can be saved up."""
        return f"{self.rate}, {'burst' if self.smooth else 'capacity'} {self.capacity}"

    @property
    @override
    def period_us(self) -> int:
        """The time of one token at the average rate."""
        return -(-self.every_us // self.refill)

    @override
    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds."""
        window_us = microseconds(window_s)
        if self.smooth:
            return self.capacity + self.refill * window_us // self.every_us
        floor, ceiling = window_us // self.every_us, -(-window_us // self.every_us)
        return max(self.capacity + self.refill * floor, self.capacity - 1 + self.refill * ceiling)

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A full bucket, in virtual time."""
        return _Credits(self, BucketState(0, now_us))

    @override
    def bucket_of(self, stored: StoredBucket, now_us: int) -> Bucket:
        """The bucket that Redis holds, in virtual time."""
        state, thaws_us = BucketState(stored.numbers["deficit"], stored.numbers["time"]), stored.numbers.get("thaws", 0)
        if thaws_us > now_us:  # one token is there at the end of a freeze, however much has refilled until then
            state = state.refilled(self, thaws_us)
            state = BucketState(max(state.deficit, (self.capacity - 1) * self.credits_a_token), max(state.time_us, thaws_us))
        return _Credits(self, state)

    @override
    def fields(self) -> dict[str, Any]:
        """The rate as it was declared, and in the steps and credits of the scripts."""
        return {
            "refill": self.refill,
            "every_us": self.every_us,
            "smooth": self.smooth,
            "step_us": self.step_us,
            "credits_a_step": self.credits_a_step,
            "credits_a_token": self.credits_a_token,
            "debt": self.debt,
        }

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        name, key, capacity, debt = policy["name"], policy["key"], policy["capacity"], policy["debt"]
        if policy["smooth"]:
            return cls(name, rate=policy["rate"], burst=capacity, key=key, debt=debt)
        return cls(name, capacity=capacity, refill=policy["refill"], every=policy["every_us"] / MICROSECONDS, key=key, debt=debt)

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        """`10/s,burst=20`, or `interval:10,+2/10s`."""
        if text.word == "interval":
            if "refill" not in text.options:
                raise ValueError("it never refills")
            refill, every_us = parse_rate(text.options["refill"])
            return cls(text.name, capacity=whole_number(text.body), refill=refill, every=every_us / MICROSECONDS, key=text.key)
        try:
            parse_rate(text.body)
        except ConfigurationError as error:
            raise ValueError(str(error).partition(":")[0]) from error
        return cls(text.name, rate=text.body, burst=whole_number(text.options["burst"]) if "burst" in text.options else None, key=text.key)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        """A rate makes any bucket smooth, and `capacity`, `refill` and `every` make it one of intervals.

        Otherwise `burst` and `capacity` mean the same: the size of the bucket.
        """
        make = partial(type(self), self.name, key=self.key, debt=self.debt)
        interval = given.keys() & {"refill", "every"}
        if {"burst", "capacity"} <= given.keys():
            raise ConfigurationError(f"limit {self.name!r}: burst and capacity are both the size of its bucket; give one")
        if self.smooth and interval and given.keys() != {"capacity", "refill", "every"}:
            remedy = "give capacity, refill and every to refill it in intervals"
            raise ConfigurationError(
                f"limit {self.name!r} is smooth, and has no {' or '.join(sorted(interval))} (it has: rate, burst); {remedy}"
            )
        if "rate" in given or ("burst" in given and self.smooth):
            if {"capacity", "refill", "every"} & given.keys():
                raise ConfigurationError(f"limit {self.name!r}: give rate and burst, or capacity, refill and every")
            return make(rate=given.get("rate", self.rate), burst=given.get("burst", self.capacity))
        capacity = given.get("capacity", given.get("burst", self.capacity))
        if self.smooth and not interval:
            return make(rate=self.rate, burst=capacity)
        every = given.get("every", self.every_us / MICROSECONDS)
        return make(capacity=capacity, refill=given.get("refill", self.refill), every=every)

    def __repr__(self) -> str:
        pace = (
            f"rate={self.rate!r}, burst={self.capacity}"
            if self.smooth
            else f"capacity={self.capacity}, refill={self.refill}, every={self.every_us / MICROSECONDS:g}"
        )
        key = f", key={self.key!r}" if self.key else ""
        return f"TokenBucket({self.name!r}, {pace}{key}" + (f", debt={self.debt!r})" if self.debt != "capped" else ")")


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket: credits spent and not yet refilled, and the instant of the last whole step applied. Redis has no key for a full one."""

    deficit: int = 0
    time_us: int = 0
    frozen_until_us: int = 0

    def refilled(self, policy: TokenBucket, now_us: int) -> "BucketState":
        """The same bucket at `now_us`. Pure and idempotent: refilling it in between changes nothing."""
        if self.deficit <= 0:
            return BucketState(0, now_us, self.frozen_until_us)
        time_us = self.time_us
        if time_us > now_us and time_us > self.frozen_until_us:
            time_us = now_us  # the clock went back: lose at most the current step, never freeze
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
    """A `BucketState` that each call refills."""

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
    def last_start_us(self, costs: Sequence[int], from_us: int) -> int | None:
        """A smooth bucket that jobs wait for is never full for a whole microsecond, so only the sum of the costs counts."""
        if not self._policy.smooth or not costs:
            return super().last_start_us(costs, from_us)
        return from_us + (self.wait_us(costs[-1], from_us, sum(costs[:-1])) or 0)

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        """A token comes back with time alone."""

    @override
    def felt_us(self, due_us: int, now_us: int) -> int:
        """Until the bucket would have been full again without it."""
        policy = self._policy
        self._state = self._state.refilled(policy, now_us)
        steps = -(-policy.capacity * policy.credits_a_token // policy.credits_a_step)
        if steps == 1 and due_us > self._state.time_us:
            return (due_us - self._state.time_us) % policy.step_us  # since the last refill before it
        return steps * policy.step_us + max(policy.step_us, policy.period_us)

    @override
    def each_us(self, cost: int, now_us: int) -> float:
        return self._policy.period_us * cost

    @override
    def burst(self, cost: int, now_us: int, reserved: int) -> Burst | None:
        """Shortly before the next step of an interval that brings several at once."""
        policy = self._policy
        if policy.credits_a_step < 2 * policy.credits_a_token:
            return None
        self._state = self._state.refilled(policy, now_us)
        refills_us = self._state.time_us + policy.step_us
        return Burst(refills_us - lead_us(policy.step_us), refills_us)
