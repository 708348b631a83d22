"""Concurrency: at most so many at the same time. What a job takes comes back at its end, however it ends."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from typing_extensions import override

from runner.limits.bucket import Bucket
from runner.limits.limit_text import Form, LimitText, whole_number
from runner.limits.policy import Limit
from runner.limits.usage import Taken, Usage, most_at_once


class Concurrency(Limit):
    """At most `capacity` jobs run at once; with a `key`, for each of its values.

    A slot comes back when its job ends, or when the worker that ran it has lost its lease: a crash leaks none.
    """

    kind = "concurrency"
    forms = (Form("concurrent", "concurrent:3"),)
    gives_back = True

    def __init__(self, name: str, capacity: int, *, key: str | None = None) -> None:
        super().__init__(name, capacity, key)

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
    def bound(self, window_s: float) -> int:
        """Raises TypeError: how many run at once says nothing of how many start in a window."""
        raise TypeError(f"limit {self.name!r} bounds how many run at once, not how many start in {window_s:g} s")

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket whose slots are all free, in virtual time."""
        return _Holders(self.capacity)

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
        return cls(policy["name"], policy["capacity"], key=policy["key"])

    @classmethod
    @override
    def from_text(cls, text: LimitText) -> Self:
        """`concurrent:3`."""
        return cls(text.name, whole_number(text.body), key=text.key)

    @override
    def _changed(self, given: Mapping[str, Any]) -> Self:
        return type(self)(self.name, given["capacity"], key=self.key)

    def __repr__(self) -> str:
        return f"Concurrency({self.name!r}, {self.capacity}" + (f", key={self.key!r})" if self.key else ")")


class _Holders(Bucket):
    """The holders and what each holds; lua/include/concurrency.lua computes the same."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: dict[str, int] = {}
        self._used = 0

    @override
    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        return 0 if self._used + reserved + min(cost, self._capacity) <= self._capacity else None

    @override
    def take(self, cost: int, now_us: int, holder: str) -> None:
        if holder not in self._held:
            self._held[holder] = cost
            self._used += cost

    @override
    def give_back(self, holder: str, now_us: int) -> None:
        self._used -= self._held.pop(holder, 0)
