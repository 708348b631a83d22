"""Bucket: the state of a limit for one key, in virtual time. What the scripts keep in Redis, with the same numbers and no I/O."""

from typing import Protocol


class Bucket(Protocol):
    """One bucket, for code that brings its own instants (µs): they never go back. Made by `Limit.full_bucket`."""

    def wait_us(self, cost: int, now_us: int, reserved: int = 0) -> int | None:
        """µs until `cost` tokens can be taken, 0 if they can be taken now; with `reserved` after that many more are taken by others.

        None: nobody can know, they come back when a holder is done.
        """

    def take(self, cost: int, now_us: int, holder: str) -> None:
        """Take `cost` tokens for a start; only where the wait is 0. A holder takes once."""

    def give_back(self, holder: str, now_us: int) -> None:
        """What was started has ended: of a kind that gives back its tokens are here again, of the others nothing changes."""
