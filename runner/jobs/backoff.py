"""How long a failed job waits before its next attempt."""

import random
from dataclasses import dataclass

from runner.errors import ConfigurationError
from runner.ranges import checked


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with equal jitter: the n-th retry waits between half and all of min(cap, base * factor^(n-1)) seconds.

    Jitter spreads the retries of jobs that failed together; half of the wait is fixed, so that no retry is immediate.
    Source: Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    base: float = 1.0
    factor: float = 2.0
    cap: float = 300.0

    def __post_init__(self) -> None:
        for name in ("base", "factor", "cap"):
            checked(name, getattr(self, name), of="Backoff")
        if self.base > self.cap:
            raise ConfigurationError(f"{self} cannot be used: its cap must be at least its base")

    def ceiling_s(self, retry: int) -> float:
        """Longest wait before retry number `retry` (from 1), in seconds."""
        try:
            return min(self.cap, self.base * self.factor ** (retry - 1))
        except OverflowError:
            return self.cap

    def delay_s(self, retry: int) -> float:
        """A random wait before retry number `retry` (from 1), in seconds."""
        ceiling = self.ceiling_s(retry)
        return ceiling / 2 + random.random() * ceiling / 2
