"""What the words of a command mean: instants, tokens by limit and JSON objects. An error names the option, its text and what to write."""

import json
from datetime import datetime
from typing import Any

from runner.errors import ConfigurationError, InvalidOption

_SHOWN = 80


def instant(option: str, text: str | None) -> datetime | None:
    """An instant with a time zone; None for none. Raises `ConfigurationError`."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option} is {text!r:.{_SHOWN}}: give an instant with a time zone, like 2026-11-30T06:00:00Z") from None
    if read.tzinfo is None:
        raise ConfigurationError(f"{option} is {text!r:.{_SHOWN}}, and has no time zone: write {text}Z for UTC, or {text}+01:00")
    return read


def json_object(what: str, text: str, example: str, error: type[Exception] = ConfigurationError) -> dict[str, Any]:
    """A JSON object. Raises `error`."""
    try:
        value = json.loads(text)
    except ValueError as fault:
        raise error(f"{what} {text!r:.{_SHOWN}} is not JSON ({fault}): give an object like '{example}'") from None
    if not isinstance(value, dict):
        raise error(f"{what} {text!r:.{_SHOWN}} is not a JSON object: give one like '{example}'")
    return value


def metadata_in(text: str | None) -> dict[str, Any] | None:
    """What travels with a job. Raises `InvalidOption`."""
    return None if text is None else json_object("metadata", text, '{"source": "import"}', InvalidOption)


def costs(given: list[str] | None) -> dict[str, int] | None:
    """Tokens by limit, from texts like llm-tokens=800. Raises `InvalidOption`."""
    found = {}
    for text in given or ():
        limit, _, tokens = text.partition("=")
        if not limit or not (tokens.isascii() and tokens.isdigit() and len(tokens) < 20):
            raise InvalidOption(f"cost {text!r} is not understood: write limit=tokens, like llm-tokens=800")
        found[limit] = int(tokens)
    return found or None
