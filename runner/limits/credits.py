"""The tokens of a TokenBucket in whole credits: what is spent of one bucket, as lua/include/token_bucket.lua computes it. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from runner.limits.bucket import Bucket, Burst, lead_us


class Steps(Protocol):
    """The numbers of a TokenBucket: credits come back by steps."""

    capacity: int
    smooth: bool
    step_us: int
    credits_a_step: int
    credits_a_token: int

    @property
    def period_us(self) -> int:
        """The time of one token at the average rate."""


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket: credits spent and not yet refilled, and the instant of the last whole step applied. Redis has no key for a full one."""

    deficit: int = 0
    time_us: int = 0
    frozen_until_us: int = 0

    def refilled(self, policy: Steps, now_us: int) -> "BucketState":
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

    def wait_us(self, policy: Steps, cost: int, now_us: int) -> int:
        """µs until `cost` tokens can be taken, for a bucket refilled at `now_us`; 0 if they can be taken now."""
        need = min(cost, policy.capacity) * policy.credits_a_token
        excess = self.deficit - (policy.capacity * policy.credits_a_token - need)
        tokens_us = self.time_us + -(-excess // policy.credits_a_step) * policy.step_us - now_us if excess > 0 else 0
        return max(self.frozen_until_us - now_us, tokens_us, 0)

    def taken(self, policy: Steps, cost: int) -> "BucketState":
        """The bucket after `cost` tokens were taken; only for a bucket whose wait is 0."""
        return BucketState(self.deficit + cost * policy.credits_a_token, self.time_us, self.frozen_until_us)


class Credits(Bucket):
    """A `BucketState` that each call refills."""

    def __init__(self, policy: Steps, state: BucketState) -> None:
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
