"""Concurrency: at most so many at the same time. What a job takes comes back at its end, however it ends."""

from typing import Any

from typing_extensions import override

from runner.limits.bucket import Bucket
from runner.limits.policy import Limit


class Concurrency(Limit):
    """At most `capacity` jobs run at once; with a `key`, for each of its values.

    A slot is given back when its job ends, and when the worker that ran it is found lost: a crash leaks none.
    """

    kind = "concurrency"
    gives_back = True

    def __init__(self, name: str, capacity: int, *, key: str | None = None) -> None:
        super().__init__(name, capacity, key)

    @property
    def rate(self) -> str:
        """The limit in words."""
        return f"{self.capacity} at once"

    def bound(self, window_s: float) -> int:
        """Concurrency bounds no rate: there is no most for a window."""
        message = f"limit {self.name!r} bounds how many run at once, not how many start in {window_s:g} s"
        raise TypeError(message)

    @override
    def full_bucket(self, now_us: int) -> Bucket:
        """A bucket that nobody holds anything of, in virtual time."""
        return _Holders(self.capacity)

    def fields(self) -> dict[str, Any]:
        """The numbers of this kind, as the scripts read them."""
        return {"rate": self.rate, "period_us": 0}

    def __repr__(self) -> str:
        return f"Concurrency({self.name!r}, {self.capacity}" + (f", key={self.key!r})" if self.key else ")")


class _Holders(Bucket):
    """Who holds how much; lua/include/concurrency.lua computes the same."""

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
