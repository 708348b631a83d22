"""Bucket: the state of a limit for one key, in virtual time. What the scripts keep in Redis, with the same numbers and no I/O."""

from typing import Protocol


class Bucket(Protocol):
    """One bucket, for code that passes the instants in (µs); they never go back. `Limit.full_bucket` makes one."""

    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        """µs until `cost` tokens can be taken once other jobs have taken `reserved` tokens; 0 if they can be taken now.

        None: the wait cannot be computed, since the tokens come back when a running job ends.
        """

    def take(self, cost: int, now_us: int, holder: str) -> None:
        """Take `cost` tokens for a start. Call it only where the wait is 0, and once for each holder."""

    def give_back(self, holder: str, now_us: int) -> None:
        """The holder has ended. Kinds that give back have its tokens again; for the others nothing changes."""
