"""Reads when a provider says to come back, in every form that providers use, as seconds. Pure; its callers cap the result."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol, runtime_checkable

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNIT_S = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_RATE_LIMIT_T = re.compile(r";\s*t\s*=\s*(\d+)")
_RATE_LIMIT_R = re.compile(r";\s*r\s*=\s*(\d+)")
_EPOCH_FROM_S = 1_000_000_000.0
"""A reset above this is an instant in seconds since 1970: as a duration it would be 30 years."""
_RESETS = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")


@runtime_checkable
class HasHeaders(Protocol):
    """A response of httpx, requests, aiohttp or the like."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its header fields."""
        ...


def retry_after_s(said: object, now_s: float) -> float | None:
    """Seconds to wait, from a number, a timedelta, a response or its headers; None if they say nothing that can be read.

    The first of these headers counts: `retry-after-ms`, `Retry-After` (RFC 9110: seconds or a date), the `RateLimit` field of
    draft-ietf-httpapi-ratelimit-headers (the t of a policy with r=0), `x-ratelimit-reset*` (seconds, "6m0s", or an instant).
    `now_s` is the time since 1970, to which dates and instants are compared.
    """
    if isinstance(said, bool) or said is None:
        return None
    if isinstance(said, (int, float)):
        return _not_negative(float(said))
    if isinstance(said, timedelta):
        return _not_negative(said.total_seconds())
    headers = said.headers if isinstance(said, HasHeaders) else said
    if not isinstance(headers, Mapping):
        return None
    return _from_headers({str(name).lower(): str(value).strip() for name, value in headers.items()}, now_s)


def _from_headers(headers: Mapping[str, str], now_s: float) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _not_negative(milliseconds / 1000)
    readings = [_retry_after(headers.get("retry-after"), now_s), _rate_limit(headers.get("ratelimit"))]
    readings += [_reset(headers[name], now_s) for name in _RESETS if name in headers and _is_spent(name, headers)]
    return next((seconds for seconds in readings if seconds is not None), None)


def _retry_after(value: str | None, now_s: float) -> float | None:
    if not value:
        return None
    seconds = _number(value)
    if seconds is not None:
        return _not_negative(seconds)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return _duration(value)
    return _not_negative((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_s)


def _rate_limit(value: str | None) -> float | None:
    """The longest `t` among the policies of a RateLimit field that have nothing left."""
    waits = []
    for policy in (value or "").split(","):
        left, reset = _RATE_LIMIT_R.search(policy), _RATE_LIMIT_T.search(policy)
        if reset and (left is None or left[1] == "0"):
            waits.append(float(reset[1]))
    return max(waits, default=None)


def _reset(value: str, now_s: float) -> float | None:
    seconds = _number(value)
    if seconds is None:
        return _iso_instant(value, now_s) if "T" in value else _duration(value)
    if seconds > _EPOCH_FROM_S * 1000:
        seconds /= 1000
    return _not_negative(seconds - now_s if seconds > _EPOCH_FROM_S else seconds)


def _is_spent(name: str, headers: Mapping[str, str]) -> bool:
    """Whether the counter that belongs to a reset is at zero, or is missing."""
    return _number(headers.get(name.replace("reset", "remaining"))) in (None, 0.0)


def _duration(value: str) -> float | None:
    match = _DURATION.fullmatch(value.replace(" ", "").lower())
    if match is None or not any(match.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(match.groups(), _UNIT_S, strict=True) if part)


def _iso_instant(value: str, now_s: float) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _not_negative((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_s)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


def _not_negative(seconds: float) -> float | None:
    return max(seconds, 0.0) if math.isfinite(seconds) else None
