"""LogThrottle: a warning that stays true for long is said when it begins and now and then, not at every try."""

_PAUSE_S = 10.0


class LogThrottle:
    """Of one warning whether it is time to say it. Each loop that tries again and again has its own."""

    def __init__(self) -> None:
        self._due_s = float("-inf")

    def is_due(self, now_s: float) -> bool:
        """Whether it was not said lately; then it is to be said now. `now_s` is on a clock that never goes back."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + _PAUSE_S
        return True

    def is_over(self) -> None:
        """What the warning tells of has ended: should it come again, that is said at once."""
        self._due_s = float("-inf")
