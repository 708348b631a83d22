"""The only reader of this machine's clocks. Instants that decide anything belong to Redis; these pace loops and name ids."""

import time


def monotonic_s() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def monotonic_us() -> int:
    """Microseconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic_ns() // 1000


def wall_us() -> int:
    """Microseconds since 1970 by this machine's clock: for display and for turning a caller's `run_at` into a delay."""
    return time.time_ns() // 1000


def sleep_s(seconds: float) -> None:
    """Block the calling thread. Never called on an event loop."""
    time.sleep(seconds)
