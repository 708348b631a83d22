"""Limits and jobs as they are written on the command line. An error names the text and the way to write it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.clock import microseconds
from runner.errors import ConfigurationError
from runner.limits import KINDS, Limit, LimitText
from runner.simulation import JobGroup

EVERYBODY = "all"
"""The tenant of jobs without one."""


def limit_forms() -> str:
    """Every way to write a limit, with an example each."""
    examples = [f"NAME={form.example}" for kind in KINDS.values() for form in kind.forms]
    return f"{', '.join(examples)}; with ,key={{tenant_id}} for each tenant"


def parse_limit(text: str) -> Limit:
    """One limit. Raises `ConfigurationError`."""
    name, equals, rest = text.strip().partition("=")
    first, *parts = [part.strip() for part in rest.split(",")]
    word, colon, body = first.partition(":") if ":" in first else ("", "", first)
    forms = {form.word: (kind, form) for kind in KINDS.values() for form in kind.forms}
    if not equals or not body or (colon and word not in forms):
        raise _not_understood(text)
    kind, form = forms[word]
    options = _options(text, parts)
    key = options.pop("key", None)
    if stray := options.keys() - form.options:
        raise _not_understood(text, f"{min(stray)!r} is no option of this kind")
    try:
        return kind.from_text(LimitText(name.strip(), word, body, options, key))
    except ValueError as error:
        raise _not_understood(text, str(error)) from error


def _options(text: str, parts: Iterable[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in parts:
        word, given, value = ("refill", "=", part[1:]) if part.startswith("+") else part.partition("=")
        if not given or not value or word in options:
            raise _not_understood(text, f"{part!r} is no option")
        options[word] = value
    return options


def _not_understood(text: str, why: str = "") -> ConfigurationError:
    return ConfigurationError(f"limit {text!r} is not understood{': ' if why else ''}{why}: write {limit_forms()}")


def parse_jobs(text: str, duration_us: int) -> list[JobGroup]:
    """`a:1000,b:10@5`: 1000 jobs of tenant a at once, 10 of b after 5 s; `500` alone is of one tenant. Raises `ConfigurationError`."""
    groups = []
    for part in text.split(","):
        tenant, _, rest = part.strip().rpartition(":")
        count, _, at_s = rest.partition("@")
        try:
            groups.append(JobGroup(tenant or EVERYBODY, int(count), microseconds(float(at_s or 0)), duration_us))
        except (ValueError, OverflowError):
            raise ConfigurationError(
                f"jobs {part.strip()!r} are not understood: write TENANT:COUNT or TENANT:COUNT@SECONDS, like a:1000,b:10@5"
            ) from None
    return groups


def parse_pairs(text: str | None, what: str) -> dict[str, int]:
    """`a=3,b=1`. Raises `ConfigurationError`."""
    pairs = {}
    for part in text.split(",") if text else ():
        name, _, number = part.strip().rpartition("=")
        if not name or not number.isdecimal():
            raise ConfigurationError(f"{what} {part.strip()!r} is not understood: write NAME=NUMBER, several with commas between")
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
        raise ConfigurationError(f"file {str(path)!r} cannot be read: {error}") from error
    groups = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise ConfigurationError(
                f"{path}, line {number}: {where}: {first['msg']} (got {first['input']!r}): "
                'write one object a line, like {"tenant": "t7", "count": 10, "at": 0, "duration": 0.4, "cost": {"openai": 800}}'
            ) from error
        own_us = duration_us if line.duration is None else microseconds(line.duration)
        groups.append(JobGroup(line.tenant, line.count, microseconds(line.at), own_us, {**cost, **line.cost}, line.args))
    return groups
