"""The forms in which providers say what is left of an account, and when that changes. Of some the tokens come back one by one, of others together."""

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple


class Form(NamedTuple):
    """write: the fields of an answer, from what is left, and in how many seconds the count is full again, or set back. counter: as `sync_limit` takes it."""

    has_windows: bool
    counter: str | None
    write: Callable[[int, float], Mapping[str, str]]


def _iso(in_s: float) -> str:
    return datetime.fromtimestamp(time.time() + in_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


FORMS = {
    "none": Form(False, "requests", lambda left, _: {"x-ratelimit-remaining-requests": f"{left}"}),
    "duration": Form(
        False,
        "requests",
        lambda left, in_s: {"x-ratelimit-remaining-requests": f"{left}", "x-ratelimit-reset-requests": f"{math.ceil(in_s * 1000)}ms"},
    ),
    "anthropic": Form(
        False,
        "requests",
        lambda left, in_s: {"anthropic-ratelimit-requests-remaining": f"{left}", "anthropic-ratelimit-requests-reset": _iso(in_s)},
    ),
    "github": Form(
        True,
        "core",
        lambda left, in_s: {
            "x-ratelimit-remaining": f"{left}",
            "x-ratelimit-reset": f"{math.ceil(time.time() + in_s)}",
            "x-ratelimit-resource": "core",
        },
    ),
    "discord": Form(
        True,
        None,
        lambda left, in_s: {
            "x-ratelimit-remaining": f"{left}",
            "x-ratelimit-reset": f"{time.time() + in_s:.3f}",
            "x-ratelimit-reset-after": f"{in_s:.3f}",
        },
    ),
    "ratelimit": Form(True, "default", lambda left, in_s: {"ratelimit": f'"default";r={left};t={math.ceil(in_s)}'}),
    "draft-06": Form(True, None, lambda left, in_s: {"ratelimit": f"limit=200, remaining={left}, reset={math.ceil(in_s)}"}),
    "seconds": Form(True, None, lambda left, in_s: {"x-ratelimit-remaining": f"{left}", "x-ratelimit-reset": f"{math.ceil(in_s)}"}),
    "iso": Form(True, None, lambda left, in_s: {"x-ratelimit-remaining": f"{left}", "x-ratelimit-reset": _iso(in_s)}),
}
