"""Concurrency: at most so many at the same time. What a job takes comes back at its end, however it ends."""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any, Self

from typing_extensions import override

from runner.clock import MICROSECONDS
from runner.limits.bucket import FAR_US, Bucket, Promise, StoredBucket
from runner.limits.limit_text import Form, LimitText, whole_number
from runner.limits.policy import Limit
from runner.limits.usage import Taken, Usage, most_at_once


class Concurrency(Limit):
    """At most `capacity` jobs run at once; with a `key`, for each of its values.

    A slot comes back when its job ends, or when the worker that ran it has lost its lease: a crash leaks none.
    A slot is held until the call has ended, however late it arrives: a `jitter` changes nothing, and is taken as that of any limit.
    """

    kind = "concurrency"
    forms = (Form("concurrent", "concurrent:3", frozenset({"jitter"})),)
    gives_back = True
    why_not_lowered = "a slot comes back when its job ends, and nobody tells when the slots of others do; lowered to 0, no job would start that could hear of it"

    def __init__(self, name: str, capacity: int, *, key: str | None = None, jitter: float = 0) -> None:
        super().__init__(name, capacity, key)
        self.jitter_us = self._jitter_us(jitter)

    @property
    @override
    def rate(self) -> str:
        """The limit in words."""
        return f"{self.capacity} at once"

    @property
    @override
    def period_us(self) -> int:
        """No time: a slot comes back at the end of its job."""
        return 0

    @override
    def _most_within(self, window_us: int) -> int:
        """Raises TypeError: how many run at once says nothing of how many start in a window."""
        raise TypeError(f"limit {self.name!r} bounds how many run at once, not how many start in {window_us / MICROSECONDS:g} s")

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket whose slots are all free, in virtual time."""
        return _Holders(self.capacity)

    @override
    def bucket_of(self, stored: StoredBucket, now_us: int) -> Bucket:
        """The bucket that Redis holds, in virtual time: each holder ends when the mean time has passed for which slots were held lately."""
        bucket = _Holders(self.capacity, stored.numbers.get("held_us", 0), probe=bool(stored.numbers["probe"]))
        for number, (began_us, cost) in enumerate(stored.rows):
            bucket.take(cost, began_us, str(number))
        return bucket

    @override
    def usage(self, taken: Sequence[Taken], first_us: int) -> Usage:
        """By the time for which slots were held."""
        end_us = max(row.end_us for row in taken)
        held = sum(row.cost * (row.end_us - row.at_us) for row in taken)
        return Usage(most_at_once(taken), held / (self.capacity * max(end_us - first_us, 1)))

    @override
    def fields(self) -> dict[str, Any]:
        """It has no numbers of its own."""
        return {}

    @classmethod
    @override
    def from_policy(cls, policy: Mapping[str, Any]) -> Self:
        """The limit that was published with these fields."""
        return cls(policy["name"], policy["capacity"], key=policy["key"], jitter=policy.get("jitter_us", 0) / MICROSECONDS)

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        """`concurrent:3`."""
        return cls(text.name, whole_number(text.body), key=text.key, jitter=text.jitter)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        return type(self)(self.name, given["capacity"], key=self.key, jitter=self.jitter_s)

    def __repr__(self) -> str:
        return f"Concurrency({self.name!r}, {self.capacity}{self._options_in_words()})"


_MOST_EXPECTED = 50
"""For how many slots together the instants are computed at which they come back."""


class _Holders(Bucket):
    """The holders, what each holds and since when; lua/include/concurrency.lua computes the same."""

    def __init__(self, capacity: int, held_us: int = 0, *, probe: bool = False) -> None:
        self._capacity = capacity
        self._held: dict[str, tuple[int, int]] = {}
        """(cost, instant of the start) by holder, in the order of their starts."""
        self._used = 0
        self._held_us = held_us
        """How long a slot is held: a moving mean. 0: none has come back yet."""
        self._probe = probe

    @property
    def _expected_us(self) -> int:
        return self._held_us or MICROSECONDS

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        return 0 if self._used + reserved + min(cost, self._capacity) <= self._capacity else None

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        if holder not in self._held:
            self._held[holder] = cost, now_us
            self._used += cost

    @override
    def last_start_us(self, costs: Sequence[int], from_us: int) -> int | None:
        """By the mean time for which slots were held; None while that is not known and the jobs need slots that are taken."""
        now_us, used, held_us = from_us, self._used, self._held_us
        # One that runs longer than most ends at any time: on the average after half of it.
        ends = [(end if (end := since_us + held_us) > from_us else from_us + held_us // 2, cost) for cost, since_us in self._held.values()]
        heapify(ends)
        most = 1 if self._probe else self._capacity
        for cost in costs:
            while used and used + cost > most:
                if not held_us or not ends:
                    return None
                end_us, back = heappop(ends)
                now_us, used = max(now_us, end_us), used - back
                most = self._capacity
            used += cost
            heappush(ends, (now_us + held_us, cost))
        return now_us

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        if holder in self._held:
            cost, since_us = self._held.pop(holder)
            held_us = max(now_us - since_us, 1)
            self._used -= cost
            self._held_us = max(self._held_us + (held_us - self._held_us) // 8, 1) if self._held_us else held_us

    @override
    def holders(self) -> list[tuple[str, int]]:
        return [(holder, since_us) for holder, (_, since_us) in self._held.items()]

    @override
    def when_us(self, cost: int, now_us: int, reserved: int = 0, promised: Sequence[Promise] = ()) -> int:
        """By the mean time that a job holds its slots: each comes back after it, and those promised are held as long."""
        wanted = cost + sum(promise.cost for promise in promised)
        if wanted > _MOST_EXPECTED:
            return now_us + self._expected_us
        free = self._capacity - self._used - reserved
        ends = [now_us] * min(free, wanted) + [now_us + self._expected_us] * min(reserved, wanted) + self._ends_us(wanted, now_us)
        for promise in sorted(promised, key=lambda promise: promise.due_us):
            ends.sort()
            if promise.cost > len(ends):
                return FAR_US
            ends[: promise.cost] = [max(promise.due_us, ends[promise.cost - 1]) + self._expected_us] * promise.cost
        return sorted(ends)[cost - 1] if cost <= len(ends) else FAR_US

    def _ends_us(self, most: int, now_us: int) -> list[int]:
        """When slots come back, of the jobs that took them first. One that runs longer than the mean is expected to need a quarter more."""
        late_us = now_us + self._expected_us // 4 + 1
        ends: list[int] = []
        for cost, since_us in islice(self._held.values(), most):
            end_us = since_us + self._expected_us
            ends += [end_us if end_us > now_us else late_us] * min(cost, most)
        return ends

    @override
    def felt_us(self, due_us: int, now_us: int) -> int:
        return 2 * self._expected_us

    @override
    def each_us(self, cost: int, now_us: int) -> float:
        return self._expected_us * cost / self._capacity
