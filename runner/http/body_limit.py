"""BodyGuard: no request brings more bytes than its path allows, whether it says their number or not. Pure ASGI, before any other work."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.http.problems import problem_of

MAX_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 8 * MAX_BYTES


class BodyGuard:
    """Answers 413 to a declared length beyond the limit without reading, and to an undeclared one as soon as it is passed."""

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int], default: int = MAX_BYTES) -> None:
        self._app = app
        self._limits = limits
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = self._limits.get(scope["path"], self._default)
        declared = _declared_length(scope)
        if declared is not None and declared > most_bytes:
            await problem_of(_too_large(most_bytes)).response()(scope, receive, send)
            return
        if declared is not None:
            await self._app(scope, receive, send)  # the server ends the body there
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most_bytes:
                raise _too_large(most_bytes)
            return message

        await self._app(scope, counted, send)


def _declared_length(scope: Scope) -> int | None:
    """The length the body must have; None if it has none, or is sent in chunks, which then counts."""
    length = None
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value[:20]) if value.isdigit() else None
    return length


def _too_large(most_bytes: int) -> HTTPException:
    """An exception that Starlette and FastAPI let through, whoever reads the body."""
    return HTTPException(413, f"the body is larger than {most_bytes} bytes: send less, or in several requests")
