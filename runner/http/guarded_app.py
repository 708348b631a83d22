"""GuardedApp: FastAPI's app, whose every answer tells browsers what they may not do with it, and which serves no path with control characters."""

import re
from collections.abc import Iterable

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from runner.http.problems import Problem

REFUSED = "runner.http.refused"
"""In the scope of a request that is answered 503: the service could not do what it asked for."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNAVAILABLE = 503
_FIELDS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
}
"""What a browser is told, unless the answer says it otherwise: it neither keeps it, nor runs or frames it, nor guesses what it is."""


_OWN = tuple(_FIELDS.items())


class GuardedApp(FastAPI):
    """As its base class for whoever adds routes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        guarded = _with_fields(scope, send)
        if _CONTROL.search(scope["path"]):
            # A router's `$` also matches before a line's end, so two who look at such a path may see two different ones.
            problem = Problem("invalid-path", "the path has control characters, such as %0A: leave them out")
            await problem.response(str(scope.get("root_path", "")))(scope, receive, guarded)
            return
        await super().__call__(scope, receive, guarded)


def _missing_in(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    said = {name for name, _ in fields}
    return [field for field in _OWN if field[0] not in said]


def _with_fields(scope: Scope, send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == _UNAVAILABLE:
                scope[REFUSED] = True
            fields = message["headers"]
            own = _OWN if _FIELDS.keys().isdisjoint([name for name, _ in fields]) else _missing_in(fields)
            message["headers"] = [*fields, *own]
        await send(message)

    return sent
