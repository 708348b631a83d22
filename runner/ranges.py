"""RANGES: every number that a program, an operator or the environment can give, from its least to its most; and their one check."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from runner.errors import ConfigurationError
from runner.foreign import shown

_DAY_S = 86_400.0
YEAR_S = 366 * _DAY_S
"""The longest time that anything can be asked for."""
_EXACT = 2**43 - 1
"""The largest number of tokens: with all that the scripts add to it, it stays exact in their doubles."""

_MOST_SHOWN = 80
"""Characters of a value that is refused."""


class Range(NamedTuple):
    """The numbers from `least` to `most`: seconds, bytes, or what else is counted in `unit`."""

    least: float
    most: float
    unit: str = ""
    is_whole: bool = False

    @property
    def words(self) -> str:
        """What must be given."""
        kind = f"a {'whole ' if self.is_whole else ''}number" + (f" of {self.unit}" if self.unit else "")
        return f"{kind} from {_text(self.least, self.unit)} to {_text(self.most, self.unit)}"


def _seconds(least: float, most: float) -> Range:
    return Range(least, most, "seconds")


def _whole(least: int, most: int, unit: str = "") -> Range:
    return Range(least, most, unit, is_whole=True)


_NOT_ZERO_S = 1e-6
"""Redis counts in microseconds."""

RANGES: Mapping[str, Range] = {
    # a task
    "timeout": _seconds(0.001, 31 * _DAY_S),
    "result_ttl": _seconds(0.001, YEAR_S),
    "failed_ttl": _seconds(0.001, YEAR_S),
    "retries": _whole(0, 10_000),
    "max_throttled": _whole(1, 10_000),
    "max_jobs_per_child": _whole(1, 1_000_000_000),
    "weight": _whole(1, 1_000),
    "base": _seconds(_NOT_ZERO_S, YEAR_S),
    "cap": _seconds(_NOT_ZERO_S, YEAR_S),
    "factor": Range(1, 100),
    "jitter": Range(0, 1),
    "deadline of a job": _seconds(0.001, YEAR_S),
    # flows
    "size of a batch": _whole(1, 1_000_000),
    "first parent": _whole(0, 1_000_000),
    "most parents": _whole(1, 1_000),
    # a submission
    "delay": _seconds(0, YEAR_S),
    "max_wait": _seconds(_NOT_ZERO_S, YEAR_S),
    "until": _seconds(_NOT_ZERO_S, YEAR_S),
    "max_delay": _seconds(0, YEAR_S),
    "cost": _whole(0, _EXACT, "tokens"),
    # a schedule
    "interval": _seconds(1, YEAR_S),
    "jitter of a schedule": _seconds(0, _DAY_S),
    "grace of a schedule": _seconds(0, YEAR_S),
    # a call
    "wait": _seconds(0, YEAR_S),
    "timeout of a wait": _seconds(0, YEAR_S),
    "window of a map": _whole(1, 100_000, "items"),
    "timeout of a request": _seconds(0, YEAR_S),
    "duration": _seconds(_NOT_ZERO_S, YEAR_S),
    # a key
    "expires": _seconds(1, YEAR_S),
    "grace": _seconds(0, YEAR_S),
    # many jobs
    "jobs of a bulk": _whole(0, 10**9, "jobs"),
    # the audit
    "most": _whole(1, 1_000, "lines"),
    # a list
    "jobs of a page": _whole(1, 500, "jobs"),
    # a limit
    "capacity": _whole(1, _EXACT),
    "scale": _whole(0, 9),
    "burst": _whole(1, _EXACT),
    "refill": _whole(1, _EXACT),
    "rate": _whole(1, _EXACT),
    "every": _seconds(_NOT_ZERO_S, 100 * _DAY_S),
    "per": _seconds(_NOT_ZERO_S, 100 * _DAY_S),
    "jitter of a limit": _seconds(0, 3_600),
    "revision": _whole(0, 10**14 - 1),
    "share": _whole(1, 1000),
    # the middleware
    "deadline": _seconds(0.001, 60),
    "wait of a request": _seconds(0, 5),
    "instances": _whole(1, 100_000),
    "max_keys": _whole(1, 10**7),
    # the settings
    "concurrency": _whole(1, 100_000),
    "window": _whole(1, 10_000),
    "least_share": Range(0, 0.3),
    "lease_s": _seconds(0.5, 3_600),
    "renew_s": _seconds(0.1, 3_600),
    "block_s": _seconds(0.05, 60),
    "reclaim_s": _seconds(0.1, 600),
    "drain_s": _seconds(0, _DAY_S),
    "start_timeout_s": _seconds(0.001, _DAY_S),
    "max_crashes": _whole(1, 100),
    "result_ttl_s": _seconds(0.001, YEAR_S),
    "failed_ttl_s": _seconds(0.001, YEAR_S),
    "catalog_ttl_s": _seconds(60, YEAR_S),
    "freeze_s": _seconds(0.001, 7 * _DAY_S),
    "longest_freeze_s": _seconds(0.001, 7 * _DAY_S),
    "max_backlog": _whole(0, 10**9),
    "max_args_bytes": _whole(1_000, 64_000_000, "bytes"),
    "max_result_bytes": _whole(1_000, 64_000_000, "bytes"),
    "http_max_result_bytes": _whole(1_000, 64_000_000, "bytes"),
    "history_length": _whole(0, 10**7),
    "command_timeout_s": _seconds(0.05, 60),
    "stall_s": _seconds(0.01, 3_600),
    "metrics_port": _whole(0, 65_535),
    "health_port": _whole(0, 65_535),
}


def checked(name: str, value: object, *, error: type[Exception] = ConfigurationError, of: str = "", most: float | None = None) -> float:
    """The number given as `name`, if it is one of its range. Raises `error`, which names the value and what to give instead.

    of: whose number it is, like "task 'charge'". most: a lower end of the range.
    """
    bounds = RANGES[name]
    if most is not None:
        bounds = bounds._replace(most=most)
    is_number = isinstance(value, int) or (isinstance(value, float) and not bounds.is_whole)
    if is_number and not isinstance(value, bool) and bounds.least <= value <= bounds.most:  # type: ignore[operator] # it is a number
        return value  # type: ignore[return-value] # as above
    seconds = f"; write its total_seconds(), {value.total_seconds():g}" if isinstance(value, timedelta) else ""
    raise error(f"{of}{': ' if of else ''}{name} is {shown(value, _MOST_SHOWN)}, and must be {bounds.words}{seconds}")


def checked_whole(name: str, value: object, *, error: type[Exception] = ConfigurationError, of: str = "", most: float | None = None) -> int:
    """The same of a range of whole numbers."""
    return int(checked(name, value, error=error, of=of, most=most))


def _text(number: float, unit: str) -> str:
    if unit == "seconds" and number >= _DAY_S and number % _DAY_S == 0:
        days = int(number // _DAY_S)
        return f"{number:.0f} ({days} {'day' if days == 1 else 'days'})"
    return f"{number:.0f}" if number == math.floor(number) else f"{number:.6f}".rstrip("0")
