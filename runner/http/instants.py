"""Instants as callers say them, in a body or in the query: one type, which reads them and tells OpenAPI what they are. And as answers tell them."""

from datetime import UTC, datetime
from typing import Annotated, overload

from pydantic import BeforeValidator


def _instant(value: object) -> datetime:
    """From ISO 8601 text. A number is refused, because its unit is unknown."""
    try:
        return datetime.fromisoformat(value.upper())  # type: ignore[attr-defined] # what is no text is refused here
    except (AttributeError, TypeError, ValueError):
        raise ValueError("Input should be an instant as text, like 2030-01-31T12:00:00Z") from None


def _with_zone(value: object) -> datetime:
    instant = _instant(value)
    if instant.tzinfo is None:
        raise ValueError("Input should be an instant with a time zone, like 2030-01-31T12:00:00Z")
    return instant


AnyInstant = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]
"""For where the client says what one without a time zone is refused for."""
Instant = Annotated[datetime, BeforeValidator(_with_zone, json_schema_input_type=datetime)]


@overload
def utc(seconds: float) -> datetime: ...
@overload
def utc(seconds: float | None) -> datetime | None: ...
def utc(seconds: float | None) -> datetime | None:
    """An instant in seconds since 1970, as every answer has it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
