"""TokenBucket: interval and smooth, in whole credits. No I/O; lua/include/token_bucket.lua computes the same numbers."""

import copy
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self

from typing_extensions import override

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits import jitter as allowance
from runner.limits.adapting import Adapt, Adapting, adapting
from runner.limits.bucket import Bucket, StoredBucket
from runner.limits.credits import BucketState, Credits
from runner.limits.limit_text import Form, LimitText, whole_number
from runner.limits.policy import Limit
from runner.limits.rates import EXACT, duration_in_words, parse_rate
from runner.limits.sharing import warn_of_single_token

Debt = Literal["capped", "kept"]


class TokenBucket(Limit):
    """A bucket of `capacity` tokens; a job takes its cost at its start and waits while there are too few.

    Give either `rate` ("10/s", smooth: each token comes back by itself, `burst` is the capacity and defaults to the rate's
    tokens) or `capacity`, `refill` and `every` (seconds: `refill` tokens come back together at the end of each interval).
    `key` makes one bucket per value of the arguments it names: `key="{tenant_id}"`.
    What a job settles beyond its cost makes a debt of at most one capacity, so that a wrong number closes no bucket for years; with
    `debt="kept"` all of it is charged.
    With `jitter` (seconds) the numbers are those of the provider's door, which one call may reach so much later than another: the burst is
    lowered by what that needs, and the rate too where the burst is too small for it.
    With `adapt` the rate in force is lowered while the provider says wait again and again, and raised slowly afterwards, up to the declared
    one: True, or the least and the most rate, `adapt=("5/s", "40/s")`. Only for a bucket without a key.
    With `shared=True` all queues that declare a limit of this name share one bucket; a name shares it in a scope of that name.

    In any window of W seconds at most `bound(W)` tokens are taken. Raises `ConfigurationError` for a bucket that cannot work.
    """

    kind = "token_bucket"
    numbers = frozenset({"rate", "burst", "capacity", "refill", "every"})
    script_fields = frozenset({"step_us", "credits_a_step", "credits_a_token", "adapt_least", "adapt_most"})
    forms = (
        Form("", "10/s or NAME=10/s,burst=20 (smooth)", frozenset({"burst", "jitter"})),
        Form("interval", "interval:10,+2/10s (capacity 10, 2 more every 10 s)", frozenset({"refill", "jitter"})),
    )

    declared: "TokenBucket | None" = None

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
        jitter: float = 0,
        adapt: Adapt = False,
        shared: bool | str = False,
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
        self._set_steps()
        self.jitter_us = self._jitter_us(jitter)
        self.adapting: Adapting | None = None
        if self.jitter_us:
            self._keep_at_the_door()
        self.adapting = self._adapting(adapt)
        self.shared = self._scope(shared)
        if self.shared is not None:
            if self.adapting is not None:
                raise ConfigurationError(
                    f"limit {name!r}: a limit that several queues share cannot adapt; declare the rate that the provider permits"
                )
            warn_of_single_token(name, self.capacity, self.refill * MICROSECONDS / self.every_us)

    def _adapting(self, adapt: object) -> Adapting | None:
        """Between which rates it is kept; None if its rate stays."""
        found = adapting(f"limit {self.name!r}", adapt, allowance.Pace(self.capacity, self.refill, self.every_us))
        if found is not None and self.key is not None:
            raise ConfigurationError(
                f"limit {self.name!r}: a limit with a key cannot adapt, as one account that is told to wait would slow all others;"
                " declare a limit for each account whose rate is unknown"
            )
        return found

    def _keep_at_the_door(self) -> None:
        """Lower the numbers by what the jitter needs."""
        self.declared = copy.copy(self)
        self.declared.jitter_us = 0
        door = allowance.Pace(self.capacity, self.refill, self.every_us)
        pace = (allowance.smooth if self.smooth else allowance.interval)(door, self.jitter_us)
        if pace is None:
            raise ConfigurationError(
                f"limit {self.name!r}: with jitter={self.jitter_s:g} calls of {-(-self.jitter_us // self.every_us) + 1} intervals can arrive"
                f" together, and a capacity of {self.capacity} leaves nothing for that; give a rate (smooth), or a smaller jitter"
            )
        self.capacity, self.refill, self.every_us = pace
        self._set_steps()

    def _set_steps(self) -> None:
        """Express the rate in whole credits per step: an interval bucket refills once an interval, a smooth one each µs."""
        self.window_us = self.every_us
        self.fill_us = -(-self.capacity * self.every_us // self.refill)
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
        return self._with_declared(f"{self.rate}, {'burst' if self.smooth else 'capacity'} {self.capacity}")

    @property
    @override
    def period_us(self) -> int:
        """The time of one token at the average rate."""
        return -(-self.every_us // self.refill)

    @override
    def _most_within(self, window_us: int) -> int:
        if self.smooth:
            return self.capacity + self.refill * window_us // self.every_us
        floor, ceiling = window_us // self.every_us, -(-window_us // self.every_us)
        return max(self.capacity + self.refill * floor, self.capacity - 1 + self.refill * ceiling)

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A full bucket, in virtual time."""
        return Credits(self, BucketState(0, now_us))

    @override
    def bucket_of(self, stored: StoredBucket, now_us: int) -> Bucket:
        """The bucket that Redis holds, in virtual time."""
        state, thaws_us = BucketState(stored.numbers["deficit"], stored.numbers["time"]), stored.numbers.get("thaws", 0)
        if thaws_us > now_us:  # one token is there at the end of a freeze, however much has refilled until then
            state = state.refilled(self, thaws_us)
            state = BucketState(max(state.deficit, (self.capacity - 1) * self.credits_a_token), max(state.time_us, thaws_us))
        return Credits(self, state)

    @override
    def fields(self) -> dict[str, Any]:
        """The rate as it was declared, and in the steps and credits of the scripts; with a jitter also what it was declared for."""
        door = self.declared
        at_the_door = {"door_capacity": door.capacity, "door_refill": door.refill, "door_every_us": door.every_us} if door else {}
        return {
            "refill": self.refill,
            "every_us": self.every_us,
            "smooth": self.smooth,
            "step_us": self.step_us,
            "credits_a_step": self.credits_a_step,
            "credits_a_token": self.credits_a_token,
            "debt": self.debt,
            **at_the_door,
            **(self.adapting.fields() if self.adapting else {}),
        }

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        given: dict[str, Any] = {"jitter": policy.get("jitter_us", 0) / MICROSECONDS, "adapt": tuple(policy.get("adapt", ())) or False}
        make = partial(cls, policy["name"], key=policy["key"], debt=policy["debt"], **given)
        door = "door_" if policy.get("jitter_us") else ""
        capacity, refill, every_us = policy[f"{door}capacity"], policy[f"{door}refill"], policy[f"{door}every_us"]
        if policy["smooth"]:
            return make(rate=f"{refill}/{duration_in_words(every_us)}", burst=capacity)
        return make(capacity=capacity, refill=refill, every=every_us / MICROSECONDS)

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        """`10/s,burst=20`, or `interval:10,+2/10s`."""
        make = partial(cls, text.name, key=text.key, jitter=text.jitter)
        if text.word == "interval":
            if "refill" not in text.options:
                raise ValueError("it never refills")
            refill, every_us = parse_rate(text.options["refill"])
            return make(capacity=whole_number(text.body), refill=refill, every=every_us / MICROSECONDS)
        try:
            parse_rate(text.body)
        except ConfigurationError as error:
            raise ValueError(str(error).partition(":")[0]) from error
        return make(rate=text.body, burst=whole_number(text.options["burst"]) if "burst" in text.options else None)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        """A rate makes any bucket smooth, and `capacity`, `refill` and `every` make it one of intervals.

        Otherwise `burst` and `capacity` mean the same: the size of the bucket.
        """
        make = partial(type(self), self.name, key=self.key, debt=self.debt, jitter=self.jitter_s)
        declared = self.declared or self
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
            return make(rate=given.get("rate", declared.rate), burst=given.get("burst", declared.capacity))
        capacity = given.get("capacity", given.get("burst", declared.capacity))
        if self.smooth and not interval:
            return make(rate=declared.rate, burst=capacity)
        every = given.get("every", declared.every_us / MICROSECONDS)
        return make(capacity=capacity, refill=given.get("refill", declared.refill), every=every)

    def __repr__(self) -> str:
        door = self.declared or self
        pace = (
            f"rate={door.rate!r}, burst={door.capacity}"
            if self.smooth
            else f"capacity={door.capacity}, refill={door.refill}, every={door.every_us / MICROSECONDS:g}"
        )
        debt = f", debt={self.debt!r}" if self.debt != "capped" else ""
        adapt = f", adapt={(self.adapting.low, self.adapting.high)!r}" if self.adapting else ""
        return f"TokenBucket({self.name!r}, {pace}{self._options_in_words()}{debt}{adapt})"
