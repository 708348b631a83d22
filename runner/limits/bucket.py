"""Bucket: the state of a limit for one key, in virtual time. What the scripts keep in Redis, with the same numbers and no I/O."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

FAR_US = 2**53 - 1
"""Instead of an instant that nobody can know: beyond every other one, and exact in the scripts."""

_LONGEST_LEAD_US = 2_000_000


def lead_us(period_us: int) -> int:
    """How long before a refill a burst ends, so that what was set aside of it can still be used by others."""
    return min(_LONGEST_LEAD_US, period_us // 8)


class StoredBucket(NamedTuple):
    """What Redis holds of one bucket: the numbers of its kind by their names in the scripts, and (instant in µs, cost) of each of its rows.

    A row is a start in a sliding window, or a job that holds slots, with the instant at which it began.
    """

    numbers: Mapping[str, int]
    rows: Sequence[tuple[int, int]] = ()


class Promise(NamedTuple):
    """Tokens that a claim is to find at an instant (µs)."""

    cost: int
    due_us: int


class Burst(NamedTuple):
    """Tokens of a bucket that gives many at once.

    ends_us: until then they can be set aside. refills_us: when the next ones come, None if they do not all come at once.
    """

    ends_us: int
    refills_us: int | None = None


class Bucket(Protocol):
    """One bucket, for code that passes the instants in (µs); they never go back. `Limit.full_bucket` makes one."""

    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        """µs until `cost` tokens can be taken once other jobs have taken `reserved` tokens; 0 if they can be taken now.

        None: the wait cannot be computed, since the tokens come back when a running job ends.
        """

    def take(self, cost: int, now_us: int, holder: str) -> None:
        """Take `cost` tokens for a start. Call it only where the wait is 0, and once for each holder."""

    def last_start_us(self, costs: Sequence[int], from_us: int) -> int | None:
        """The instant at which the last of these jobs starts, if they start in this order from `from_us` on, each once its tokens are there.

        No cost is above the capacity. None: it cannot be computed. The bucket must not be used afterwards.
        """
        now_us = from_us
        for number, cost in enumerate(costs):
            wait_us = self.wait_us(cost, now_us)
            if wait_us is None:
                return None
            now_us += wait_us
            self.take(cost, now_us, f"{number} in line")
        return now_us

    def give_back(self, holder: str, now_us: int) -> None:
        """The holder has ended. Kinds that give back have its tokens again; for the others nothing changes."""

    def holders(self) -> list[tuple[str, int]]:
        """Each holder that has not ended, of kinds that give back, with the instant of its start."""
        return []

    def when_us(self, cost: int, now_us: int, reserved: int = 0, promised: Sequence[Promise] = ()) -> int:
        """The instant at which `cost` tokens can be taken, after the reserved and the promised ones; an estimate if jobs give them back."""
        wait_us = self.wait_us(cost, now_us, reserved + sum(promise.cost for promise in promised))
        return FAR_US if wait_us is None else now_us + wait_us

    def felt_us(self, due_us: int, now_us: int) -> int:
        """How long before `due_us` a take can still be felt at that instant."""
        raise NotImplementedError

    def each_us(self, cost: int, now_us: int) -> float:
        """The least time between two takes of this cost in the long run."""
        raise NotImplementedError

    def burst(self, cost: int, now_us: int, reserved: int) -> Burst | None:
        """Until when tokens that are there together can be set aside. None: they do not come many at a time."""
        del cost, now_us, reserved  # only for kinds that give many at once
        return None
