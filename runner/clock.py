"""Reads this machine's clocks, and converts units of time. Instants that decide anything belong to Redis; these pace loops and name ids."""

import time

MICROSECONDS = 1_000_000
"""In a second. The scripts count in microseconds, the public API in seconds."""


def microseconds(seconds: float) -> int:
    """A time as the scripts take it."""
    return round(seconds * MICROSECONDS)


def seconds_or_none(us: int | None) -> float | None:
    """A time of the scripts as people take it; None stays: it is unknown."""
    return None if us is None else us / MICROSECONDS


def milliseconds(seconds: float) -> int:
    """A time as Redis's own commands take it: at least 1, since they refuse 0."""
    return max(round(seconds * 1000), 1)


def monotonic_s() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def monotonic_us() -> int:
    """Microseconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic_ns() // 1000


def wall_us() -> int:
    """Microseconds since 1970 by this machine's clock: for display, and for a first look at a caller's `run_at`."""
    return time.time_ns() // 1000


def sleep_s(seconds: float) -> None:
    """Block the calling thread. Never called on an event loop."""
    time.sleep(seconds)
