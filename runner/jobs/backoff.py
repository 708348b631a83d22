"""How long a failed job waits before its next attempt."""

import random
from dataclasses import dataclass

from runner.errors import ConfigurationError
from runner.ranges import checked


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off: the n-th retry waits min(cap, base * factor^(n-1)) seconds, less a random part of up to `jitter` (0 to 1).

    Jitter spreads the retries of jobs that failed together; the half of the wait that is fixed by default keeps a retry from being immediate.
    Source: Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    base: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        for name in ("base", "factor", "cap", "jitter"):
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
        return self.ceiling_s(retry) * (1 - self.jitter * random.random())
