"""Slashes that are escaped in a path: servers unescape them, and then nobody sees any more that they separate nothing."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_ESCAPED = re.compile(rb"%2[fF]")
_MARK = "\x00"
"""Stands for one in a path that is routed. No path that is routed has it otherwise: control characters are refused before."""


def has_escaped_slash(scope: Mapping[str, Any]) -> bool:
    """Whether the path of a request has one."""
    raw: bytes = scope.get("raw_path") or b""
    return b"%2" in raw and _ESCAPED.search(raw) is not None


def routed_path(scope: Mapping[str, Any]) -> str:
    """The path by which a request is routed, in which only what separates is a slash."""
    if not has_escaped_slash(scope):
        return str(scope["path"])
    return unquote(_ESCAPED.sub(_MARK.encode(), scope["raw_path"]).decode("ascii"))


def escaped_slashes_read(value: Any) -> Any:
    """What a path that was routed names."""
    return value.replace(_MARK, "/") if isinstance(value, str) else value
