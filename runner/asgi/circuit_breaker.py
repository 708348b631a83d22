"""CircuitBreaker: after some failures in a row no request asks Redis, except one probe after each pause. Pure; the time is passed in."""

from dataclasses import dataclass

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


@dataclass(slots=True)
class CircuitBreaker:
    """Closed: every request asks. Open: one probe after each pause; the pause doubles with each probe that fails, up to two seconds."""

    failures: int = 0
    pause_s: float = 0.0
    next_probe_s: float = 0.0
    openings: int = 0

    @property
    def is_open(self) -> bool:
        return self.pause_s > 0

    def try_ask(self, now_s: float) -> int | None:
        """None: do not ask. Otherwise ask, and give this number to `failed`.

        A probe sets the time of the next one at once: there is never more than one, and a probe whose request is gone blocks none.
        """
        if self.is_open:
            if now_s < self.next_probe_s:
                return None
            self.next_probe_s = now_s + self.pause_s
        return self.openings

    def succeeded(self) -> bool:
        """Record an answer in time. Returns whether that closed the breaker."""
        was_open = self.is_open
        self.failures, self.pause_s = 0, 0.0
        return was_open

    def failed(self, asked: int, now_s: float) -> bool:
        """Record that no answer came in time. Returns whether that opened the breaker.

        Calls that were sent before it opened do not count: they belong to the same outage.
        """
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
