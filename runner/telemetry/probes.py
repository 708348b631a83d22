"""ProbeServer: answers probes and scrapers on a port of its own: /healthz, /readyz, and with a page /metrics. It reads nothing but a first line."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from runner.errors import ConfigurationError
from runner.foreign import indented
from runner.traces import trace_of

log = logging.getLogger("runner")

_LONGEST_S = 5.0
"""For which a caller may take to ask, and an answer to be made and fetched."""
_MOST_HEAD = 16_384
_MOST_CONNECTIONS = 64
_JSON = "application/json"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
    500: "Internal Server Error",
}


class Status(NamedTuple):
    """Whether it is so, and if not what is missing."""

    holds: bool
    why: str = ""


class Answer(NamedTuple):
    """What is sent."""

    code: int
    body: bytes
    content_type: str = _JSON


Ask = Callable[[], Awaitable[Answer]]


class ProbeServer:
    """Serves these paths until closed. Whoever reaches the port may ask: it tells no job, no key and no argument.

    A connection is for one question. More than 64 at once are refused, as is who takes longer than 5 s.
    """

    def __init__(self, paths: Mapping[str, Ask]) -> None:
        self._paths = paths
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """On which it listens."""
        assert self._server is not None, "it has been started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises `ConfigurationError` if that is not possible there."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_MOST_HEAD)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(f"probes cannot be answered on {host} port {port}: {error}") from error

    async def close(self) -> None:
        """Listen no more, and leave who is there."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(set(self._open))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio serves each connection in a task"
        self._open.add(task)
        try:
            async with asyncio.timeout(_LONGEST_S):
                if len(self._open) <= _MOST_CONNECTIONS:
                    answer, has_body = await self._answer(reader)
                    writer.write(_encoded(answer, has_body=has_body))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it asks nothing that can be answered, or has gone
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Answer, bool]:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if not rest.endswith(("HTTP/1.1", "HTTP/1.0")):
            return _told(400, "this port speaks HTTP/1.1"), True
        ask = self._paths.get(path)
        if ask is None:
            return _told(404, f"there is {', '.join(self._paths)}"), method != "HEAD"
        if method not in ("GET", "HEAD"):
            return _told(405, "ask by GET"), True
        try:
            return await ask(), method != "HEAD"
        except Exception as error:  # noqa: BLE001 - a page that cannot be made ends no worker
            log.error("a probe cannot be answered at %s:\n%s", path, indented(trace_of(error)))
            return _told(500, "it cannot be made; the log says why"), True


def status_of(ask: Callable[[], Status]) -> Ask:
    """The answer to a probe: 200, or 503 with what is missing."""

    async def answer() -> Answer:
        status = ask()
        return (
            Answer(200, b'{"status":"ok"}')
            if status.holds
            else Answer(503, json.dumps({"status": "unavailable", "why": status.why}).encode())
        )

    return answer


def _told(code: int, text: str) -> Answer:
    return Answer(code, json.dumps({"status": "refused", "why": text}).encode())


def _encoded(answer: Answer, *, has_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.code} {_REASONS[answer.code]}\r\ncontent-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n"
        "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if has_body else b"")
