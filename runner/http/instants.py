"""Instants as callers say them, in a body or in the query: one type, which reads them and tells OpenAPI what they are."""

from datetime import datetime
from typing import Annotated

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
