"""CircuitBreaker: after some failures in a row nobody asks any more, except one probe now and then. Pure; the time is passed in."""

from dataclasses import dataclass

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


@dataclass(slots=True)
class CircuitBreaker:
    """Closed: everybody asks. Open: one probe after each pause; the pause doubles with each probe that fails, up to two seconds."""

    failures: int = 0
    pause_s: float = 0.0
    next_probe_s: float = 0.0
    openings: int = 0

    @property
    def is_open(self) -> bool:
        return self.pause_s > 0

    def try_ask(self, now_s: float) -> int | None:
        """None: do not ask. Otherwise ask, and give this number to `failed`.

        A probe moves the next one on by itself, so there is never more than one, and one that is given up blocks nothing.
        """
        if self.is_open:
            if now_s < self.next_probe_s:
                return None
            self.next_probe_s = now_s + self.pause_s
        return self.openings

    def succeeded(self) -> bool:
        """An answer came in time. Whether that closed it."""
        was_open = self.is_open
        self.failures, self.pause_s = 0, 0.0
        return was_open

    def failed(self, asked: int, now_s: float) -> bool:
        """No answer came in time. Whether that opened it. The stragglers of a wave asked before it opened count for nothing."""
        if asked != self.openings:
            return False
        self.failures += 1
        if not self.is_open and self.failures < FAILURES_TO_OPEN:
            return False
        opened = not self.is_open
        self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S) if self.is_open else FIRST_PAUSE_S
        self.next_probe_s = now_s + self.pause_s
        self.openings += opened
        return opened
