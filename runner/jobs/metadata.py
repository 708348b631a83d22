"""Metadata: what travels with a job besides its arguments: JSON by name, given by its submission and by the hooks of its producer."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from runner.errors import InvalidOption
from runner.foreign import shown
from runner.plain_text import is_line

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
"""Under which the context of the span that submitted a job is kept, as W3C Trace Context names its headers."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")
MOST_METADATA = 4_096
"""Bytes of JSON that one job may have in all."""


def encoded_metadata(metadata: Mapping[str, Any]) -> str:
    """As it is stored. Raises ValueError for what JSON does not have, and for more than there is room for."""
    for name, value in metadata.items():
        if not (is_line(name, MOST_METADATA) and _is_json(value)):
            raise ValueError(f"metadata {shown(name, 40)} is {shown(value, 40)}: give by name what JSON has, like texts and numbers")
    encoded = json.dumps(dict(metadata), separators=(",", ":"))
    if len(encoded) > MOST_METADATA:
        raise ValueError(f"metadata has {len(encoded)} bytes of JSON, and may have {MOST_METADATA}")
    return encoded


def _is_json(value: object) -> bool:
    """Whether whoever reads JSON reads this: no number that it does not have, no half of a character, not too deep."""
    try:
        from_json(json.dumps([value], allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def metadata_of_options(given: Mapping[str, Any] | None) -> str:
    """Of a submission. Raises `InvalidOption`."""
    if given is None:
        return ""
    value: object = given
    if not isinstance(value, Mapping):
        raise InvalidOption(f"metadata is {shown(given, 80)}: give values by name, like {{'source': 'import'}}")
    try:
        return encoded_metadata(given) if given else ""
    except ValueError as error:
        raise InvalidOption(str(error)) from None


def metadata_in(encoded: bytes | str) -> dict[str, Any]:
    """What was stored; nothing if there is none, or it is damaged."""
    if not encoded:
        return {}
    try:
        found = json.loads(encoded)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def trace_id_in(metadata: Mapping[str, Any]) -> str | None:
    """The trace in which a job was submitted; None if no span was recorded then."""
    value = metadata.get(TRACEPARENT)
    match = _TRACEPARENT.match(value) if isinstance(value, str) else None
    return None if match is None else match[1]
