"""Times, and what holds a limit, in words: the same for `explain` and for the command line."""

from datetime import UTC, datetime

from runner.limits import LimitStatus, Override, Pause


def clock_text(at_s: float, now_s: float) -> str:
    """An instant in UTC, with its date if that is not today's."""
    at, now = datetime.fromtimestamp(at_s, UTC), datetime.fromtimestamp(now_s, UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def overridden(limit: LimitStatus, override: Override, now_s: float) -> str:
    """Until when and why other numbers are in force, and what the code says."""
    until = "restored" if override.until is None else clock_text(override.until.timestamp(), now_s)
    return f"overridden until {until}: {_given(override.reason)}; the code says {limit.code.words}"


def paused(pause: Pause, now_s: float) -> str:
    """Since when and why nothing starts under a limit."""
    return f"paused {span(now_s - pause.since.timestamp())} ago: {_given(pause.reason)}"


def frozen(seconds: float, reason: str | None, now_s: float) -> str:
    """Until when and why nothing starts at a bucket."""
    return f"frozen until {clock_text(now_s + seconds, now_s)}, for another {span(seconds)}: {_given(reason)}"


def _given(reason: str | None) -> str:
    return reason or "no reason given"
