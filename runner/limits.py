"""Limits: what a provider allows, as values with exact integer arithmetic. No I/O; the Lua scripts compute the same numbers."""

import hashlib
import json
import math
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from runner.errors import ConfigurationError, InvalidArguments

MICROSECONDS = 1_000_000
EXACT = 2**53
"""Integers below this are exact in Lua's doubles."""

_LIMIT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*([a-z]+)\s*")
_UNITS_US = {
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
_LONGEST_PLAIN_KEY = 64


def parse_rate(rate: str) -> tuple[int, int]:
    """(tokens, µs) of a rate in words: "10/s", "100/min", "5/10s", "1000/day". Raises `ConfigurationError`."""
    match = _RATE.fullmatch(rate)
    if match is None or match[3] not in _UNITS_US:
        message = f'rate {rate!r} is not understood: write tokens per time, like "10/s", "100/min", "5/10s" or "1000/day"'
        raise ConfigurationError(message)
    tokens, every_us = int(match[1]), int(match[2] or 1) * _UNITS_US[match[3]]
    if tokens < 1 or every_us < 1:
        message = f"rate {rate!r} never lets anything through: tokens and time must be at least 1"
        raise ConfigurationError(message)
    return tokens, every_us


class TokenBucket:
    """A bucket of `capacity` tokens; a job takes its cost at its start and waits while there are too few.

    Give either `rate` ("10/s", smooth: each token returns by itself, `burst` is the capacity and defaults to the rate's
    tokens) or `capacity`, `refill` and `every` (seconds: `refill` tokens return together at the end of each interval).
    `key` makes one bucket per value of the arguments it names: `key="{tenant_id}"`.

    In any window of W seconds at most `bound(W)` tokens are taken. Raises `ConfigurationError` for a bucket that cannot work.
    """

    __slots__ = ("capacity", "credits_a_step", "credits_a_token", "every_us", "key", "name", "refill", "smooth", "step_us")

    def __init__(
        self,
        name: str,
        *,
        rate: str | None = None,
        burst: int | None = None,
        capacity: int | None = None,
        refill: int | None = None,
        every: float | None = None,
        key: str | None = None,
    ) -> None:
        self.name = _checked_name(name)
        self.key = _checked_template(name, key)
        if rate is not None and capacity is None and refill is None and every is None:
            self.refill, self.every_us = parse_rate(rate)
            self.capacity = self.refill if burst is None else burst
            self.smooth = True
        elif rate is None and burst is None and capacity is not None and refill is not None and every is not None:
            self.refill, self.every_us, self.capacity = refill, _whole_us(name, every), capacity
            self.smooth = False
        else:
            message = f"limit {name!r}: give either rate (and burst), or capacity, refill and every"
            raise ConfigurationError(message)
        self._check_numbers()
        self._set_steps()

    def _check_numbers(self) -> None:
        for field in ("capacity", "refill", "every_us"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                message = f"limit {self.name!r}: {field} is {value!r}, and must be a whole number of at least 1"
                raise ConfigurationError(message)

    def _set_steps(self) -> None:
        """Express the rate in whole credits a whole step: an interval bucket refills once an interval, a smooth one each µs."""
        if self.smooth:
            common = math.gcd(self.refill, self.every_us)
            self.step_us, self.credits_a_step, self.credits_a_token = 1, self.refill // common, self.every_us // common
        else:
            self.step_us, self.credits_a_step, self.credits_a_token = self.every_us, self.refill, 1
        if 4 * self.capacity * self.credits_a_token >= EXACT or 4 * self.credits_a_step >= EXACT or self.every_us >= EXACT // 1024:
            message = f"limit {self.name!r}: {self.capacity} tokens at {self.rate} is beyond exact arithmetic; use a smaller burst or a rounder rate"
            raise ConfigurationError(message)

    @property
    def rate(self) -> str:
        """The rate in words."""
        return f"{self.refill}/{_duration(self.every_us)}"

    def bound(self, window_s: float) -> int:
        """Most tokens that can be taken in any closed window of `window_s` seconds."""
        window_us = round(window_s * MICROSECONDS)
        if self.smooth:
            return self.capacity + self.refill * window_us // self.every_us
        floor, ceiling = window_us // self.every_us, -(-window_us // self.every_us)
        return max(self.capacity + self.refill * floor, self.capacity - 1 + self.refill * ceiling)

    def to_json(self) -> str:
        """The policy as workers publish it and the scripts read it."""
        fields = {
            "kind": "token_bucket",
            "name": self.name,
            "key": self.key,
            "capacity": self.capacity,
            "refill": self.refill,
            "every_us": self.every_us,
            "smooth": self.smooth,
            "step_us": self.step_us,
            "credits_a_step": self.credits_a_step,
            "credits_a_token": self.credits_a_token,
        }
        return json.dumps(fields, separators=(",", ":"))

    def __repr__(self) -> str:
        pace = (
            f"rate={self.rate!r}, burst={self.capacity}"
            if self.smooth
            else f"capacity={self.capacity}, refill={self.refill}, every={self.every_us / MICROSECONDS:g}"
        )
        return f"TokenBucket({self.name!r}, {pace}" + (f", key={self.key!r})" if self.key else ")")


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket: credits spent and not yet refilled, and the instant of the last whole step applied. A full one is absent in Redis."""

    deficit: int = 0
    time_us: int = 0
    frozen_until_us: int = 0

    def refilled(self, policy: TokenBucket, now_us: int) -> "BucketState":
        """The same bucket at `now_us`. Pure and idempotent: who calls it, and how often, does not matter."""
        if self.deficit <= 0:
            return BucketState(0, now_us, self.frozen_until_us)
        time_us = self.time_us
        if time_us > now_us and time_us > self.frozen_until_us:
            time_us = now_us  # the clock went back: lose at most the step under way, never freeze
        if now_us <= time_us:
            return BucketState(self.deficit, time_us, self.frozen_until_us)
        steps = (now_us - time_us) // policy.step_us
        if steps >= -(-self.deficit // policy.credits_a_step):
            return BucketState(0, now_us, self.frozen_until_us)
        return BucketState(self.deficit - steps * policy.credits_a_step, time_us + steps * policy.step_us, self.frozen_until_us)

    def wait_us(self, policy: TokenBucket, cost: int, now_us: int) -> int:
        """µs until `cost` tokens can be taken, for a bucket refilled at `now_us`; 0 if they can be taken now."""
        need = min(cost, policy.capacity) * policy.credits_a_token
        excess = self.deficit - (policy.capacity * policy.credits_a_token - need)
        tokens_us = self.time_us + -(-excess // policy.credits_a_step) * policy.step_us - now_us if excess > 0 else 0
        return max(self.frozen_until_us - now_us, tokens_us, 0)

    def taken(self, policy: TokenBucket, cost: int) -> "BucketState":
        """The bucket after `cost` tokens were taken; only for a bucket whose wait is 0."""
        return BucketState(self.deficit + cost * policy.credits_a_token, self.time_us, self.frozen_until_us)


@dataclass(frozen=True, slots=True)
class BucketStatus:
    """A live bucket: whole tokens that could be taken now, jobs that wait at it, seconds until its next token and of its freeze."""

    bucket: str
    tokens: int
    waiting: int
    next_token_s: float
    frozen_s: float


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit as Redis knows it: its published policy and its live buckets; of a limit with a key, those somebody waits for."""

    name: str
    policy: dict[str, Any]
    buckets: list[BucketStatus]


@dataclass(frozen=True, slots=True)
class Need:
    """What one job takes of one bucket at its start."""

    bucket: str
    cost: int


def bucket_name(limit: str, template: str | None, args: Mapping[str, object]) -> str:
    """The bucket of a job with these (JSON) arguments: the limit's name, and after a slash the filled-in key."""
    if template is None:
        return limit
    values = {}
    for field in template_fields(template):
        value = args.get(field)
        if value is None or isinstance(value, (dict, list)):
            message = f"limit {limit!r} takes its key from argument {field!r}, which is {value!r}: give a text or a number"
            raise InvalidArguments(message)
        values[field] = value
    return f"{limit}/{_key_text(template.format_map(values))}"


def template_fields(template: str) -> list[str]:
    """The argument names a key template uses."""
    return [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]


def encode_needs(needs: list[Need]) -> tuple[str, str]:
    """(limits, line) as the scripts read them: "bucket=cost;...", and the same without costs. Jobs of equal buckets share a line."""
    ordered = sorted(needs, key=lambda need: need.bucket)
    return ";".join(f"{need.bucket}={need.cost}" for need in ordered), ";".join(need.bucket for need in ordered)


def _key_text(text: str) -> str:
    if text.isalnum() and text.isascii() and len(text) <= _LONGEST_PLAIN_KEY:
        return text
    # "~" stands before a digest only, or a key could be made to look like another one's.
    quoted = quote(text, safe="@:+,", errors="surrogatepass").replace("~", "%7E") or "%"
    if len(quoted) <= _LONGEST_PLAIN_KEY:
        return quoted
    return f"{quoted[:24]}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _whole_us(name: str, every: float) -> int:
    if not math.isfinite(every):
        message = f"limit {name!r}: every is {every}, and must be a number of seconds"
        raise ConfigurationError(message)
    return round(every * MICROSECONDS)


def _checked_name(name: str) -> str:
    if not _LIMIT_NAME.fullmatch(name):
        message = f"limit name {name!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'"
        raise ConfigurationError(message)
    return name


def _checked_template(name: str, template: str | None) -> str | None:
    if template is None:
        return None
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        message = f"limit {name!r}: key {template!r} is not a template: {error}"
        raise ConfigurationError(message) from error
    fields = [field for _, field, _, _ in parts if field is not None]
    # A conversion or a format could fail on a job's arguments, long after this declaration.
    formatted = any(form or conversion for _, _, form, conversion in parts)
    if not fields or not all(field.isidentifier() for field in fields) or formatted:
        message = f'limit {name!r}: key {template!r} must name arguments in braces, like "{{tenant_id}}"'
        raise ConfigurationError(message)
    return template


def _duration(microseconds: int) -> str:
    for unit in ("d", "h", "min", "s", "ms"):
        size = _UNITS_US[unit]
        if microseconds % size == 0:
            count = microseconds // size
            return unit if count == 1 else f"{count}{unit}"
    return f"{microseconds}us"
