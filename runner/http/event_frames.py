"""One event of a stream, as the HTML standard writes it (section 9.2)."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json


def frame(event: str, data: Mapping[str, Any], event_id: str = "") -> bytes:
    """One event. JSON has no line breaks, so it is one line of data."""
    head = f"id: {event_id}\nevent: {event}\ndata: " if event_id else f"event: {event}\ndata: "
    return head.encode() + to_json(data) + b"\n\n"
