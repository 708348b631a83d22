"""Rates in words, and the bound below which integers are exact in the scripts."""

import re

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.names import fits

EXACT = 2**53
"""Integers below this are exact in Lua's doubles."""

_RATE = re.compile(r"\s*([0-9]{1,16})\s*/\s*([0-9]{0,16})\s*([a-z]+)\s*")
_UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": MICROSECONDS,
    "sec": MICROSECONDS,
    "second": MICROSECONDS,
    "m": 60 * MICROSECONDS,
    "min": 60 * MICROSECONDS,
    "minute": 60 * MICROSECONDS,
    "h": 3_600 * MICROSECONDS,
    "hour": 3_600 * MICROSECONDS,
    "d": 86_400 * MICROSECONDS,
    "day": 86_400 * MICROSECONDS,
}


def parse_rate(rate: str) -> tuple[int, int]:
    """(tokens, µs) of a rate in words: "10/s", "100/min", "5/10s", "1000/day". Raises `ConfigurationError`."""
    match = _RATE.fullmatch(rate) if fits(_RATE, rate) else None
    if match is None or match[3] not in _UNITS_US:
        raise ConfigurationError(f'rate {rate!r} is not understood: write tokens per time, like "10/s", "100/min", "5/10s" or "1000/day"')
    tokens, every_us = int(match[1]), int(match[2] or 1) * _UNITS_US[match[3]]
    if tokens < 1 or every_us < 1:
        raise ConfigurationError(f"rate {rate!r} never lets anything through: tokens and time must be at least 1")
    return tokens, every_us


def duration_in_words(microseconds: int) -> str:
    """The shortest exact form: "s", "10s", "min", "1500ms", "16667us"."""
    for unit in ("d", "h", "min", "s", "ms"):
        size = _UNITS_US[unit]
        if microseconds % size == 0:
            count = microseconds // size
            return unit if count == 1 else f"{count}{unit}"
    return f"{microseconds}us"
