"""How limits and jobs are written on the command line. Whatever is not understood is refused with its text and the way to write it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket, parse_rate
from runner.simulation import JobGroup

EVERYBODY = "all"
"""The tenant of jobs that name none."""

_FORMS = (
    "NAME=10/s or NAME=10/s,burst=20 (smooth), NAME=interval:10,+2/10s (capacity 10, 2 more every 10 s), NAME=window:100/60s, "
    "NAME=concurrent:3, NAME=quota:1000/month@Europe/Berlin; with ,key={tenant_id} for each tenant"
)


def parse_limit(text: str) -> Limit:
    """One limit. Raises `ConfigurationError`."""
    name, equals, rest = text.strip().partition("=")
    first, *parts = [part.strip() for part in rest.split(",")]
    kind, colon, body = first.partition(":") if ":" in first else ("", "", first)
    if not equals or not body or (colon and kind not in _KINDS):
        raise _not_understood(text)
    options: dict[str, str] = {}
    for part in parts:
        word, given, value = ("refill", "=", part[1:]) if part.startswith("+") else part.partition("=")
        if not given or not value or word in options:
            raise _not_understood(text, f"{part!r} is no option")
        options[word] = value
    key = options.pop("key", None)
    known, build = _KINDS[kind]
    if stray := options.keys() - known:
        raise _not_understood(text, f"{min(stray)!r} is no option of this kind")
    return build(text, name.strip(), body, options, key)


def _not_understood(text: str, why: str = "") -> ConfigurationError:
    return ConfigurationError(f"limit {text!r} is not understood{': ' if why else ''}{why}: write {_FORMS}")


def _number(text: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise _not_understood(text, f"{value!r} is no whole number") from None


def _smooth(text: str, name: str, body: str, options: dict[str, str], key: str | None) -> Limit:
    try:
        parse_rate(body)
    except ConfigurationError as error:
        raise _not_understood(text, str(error).partition(":")[0]) from error
    return TokenBucket(name, rate=body, burst=_number(text, options["burst"]) if "burst" in options else None, key=key)


def _interval(text: str, name: str, body: str, options: dict[str, str], key: str | None) -> Limit:
    if "refill" not in options:
        raise _not_understood(text, "it never refills")
    refill, every_us = parse_rate(options["refill"])
    return TokenBucket(name, capacity=_number(text, body), refill=refill, every=every_us / MICROSECONDS, key=key)


def _window(_text: str, name: str, body: str, _options: dict[str, str], key: str | None) -> Limit:
    capacity, window_us = parse_rate(body)
    return SlidingWindow(name, capacity, per=window_us / MICROSECONDS, key=key)


def _concurrent(text: str, name: str, body: str, _options: dict[str, str], key: str | None) -> Limit:
    return Concurrency(name, _number(text, body), key=key)


def _quota(text: str, name: str, body: str, options: dict[str, str], key: str | None) -> Limit:
    amount, slash, rest = body.partition("/")
    per, _, tz = rest.partition("@")
    if not slash:
        raise _not_understood(text, f"{body!r} names no period")
    # Quota itself refuses a period, a zone or an on_exhausted that it does not know.
    choices: dict[str, Any] = {"per": per, "on_exhausted": options.get("on_exhausted", "park")}
    return Quota(name, _number(text, amount), tz=tz or "UTC", key=key, **choices)


_KINDS: dict[str, tuple[set[str], Callable[[str, str, str, dict[str, str], str | None], Limit]]] = {
    "": ({"burst"}, _smooth),
    "interval": ({"refill"}, _interval),
    "window": (set(), _window),
    "concurrent": (set(), _concurrent),
    "quota": ({"on_exhausted"}, _quota),
}


def parse_jobs(text: str, duration_us: int) -> list[JobGroup]:
    """`a:1000,b:10@5`: 1000 jobs of tenant a at once, 10 of b after 5 s; `500` alone has one tenant. Raises `ConfigurationError`."""
    groups = []
    for part in text.split(","):
        tenant, _, rest = part.strip().rpartition(":")
        count, _, at_s = rest.partition("@")
        try:
            groups.append(JobGroup(tenant or EVERYBODY, int(count), round(float(at_s or 0) * MICROSECONDS), duration_us))
        except (ValueError, OverflowError):
            message = f"jobs {part.strip()!r} are not understood: write TENANT:COUNT or TENANT:COUNT@SECONDS, like a:1000,b:10@5"
            raise ConfigurationError(message) from None
    return groups


def parse_pairs(text: str | None, what: str) -> dict[str, int]:
    """`a=3,b=1`. Raises `ConfigurationError`."""
    pairs = {}
    for part in text.split(",") if text else ():
        name, _, number = part.strip().rpartition("=")
        if not name or not number.isdecimal():
            message = f"{what} {part.strip()!r} is not understood: write NAME=NUMBER, several with commas between"
            raise ConfigurationError(message)
        pairs[name] = int(number)
    return pairs


class _Line(BaseModel):
    """One line of a file of jobs; times in seconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tenant: str = EVERYBODY
    count: int = Field(default=1, ge=1)
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    duration: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    cost: dict[str, int] = {}
    args: dict[str, Any] = {}


def read_jobs(path: Path, duration_us: int, cost: dict[str, int]) -> list[JobGroup]:
    """A file with one JSON object a line; empty lines are skipped. Raises `ConfigurationError` naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"file {str(path)!r} cannot be read: {error}"
        raise ConfigurationError(message) from error
    groups = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            message = (
                f"{path}, line {number}: {where}: {first['msg']} (got {first['input']!r}): "
                'write one object a line, like {"tenant": "t7", "count": 10, "at": 0, "duration": 0.4, "cost": {"openai": 800}}'
            )
            raise ConfigurationError(message) from error
        own_us = duration_us if line.duration is None else round(line.duration * MICROSECONDS)
        groups.append(JobGroup(line.tenant, line.count, round(line.at * MICROSECONDS), own_us, {**cost, **line.cost}, line.args))
    return groups
