"""LogThrottle: logs a warning that stays true when it begins and then now and then, instead of at every retry."""

_PAUSE_S = 10.0
A_MINUTE_S = 60.0
"""The pause of a warning that is true for long, or that comes with a traceback."""


class LogThrottle:
    """Says of one warning whether to log it now. Each loop that retries has its own."""

    def __init__(self, pause_s: float = _PAUSE_S) -> None:
        self._pause_s = pause_s
        self._due_s = float("-inf")

    def is_due(self, now_s: float) -> bool:
        """Whether the warning was not logged lately; if so the caller logs it now. `now_s` is by a clock that never goes back."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._pause_s
        return True

    def is_over(self) -> None:
        """What the warning is about has ended: if it begins again, that is logged at once."""
        self._due_s = float("-inf")
