"""Server-sent events: an answer that stays open and tells what happens, as the HTML standard has it (section 9.2).

There is a bound to how many are open in a process. Each holds one event at a time and what its socket buffers: a client that reads slowly
makes its own events come later, and one that does not read for half a minute is given up. It goes on from the id of its last event.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from runner.http.authorization import is_admitted_still
from runner.http.dependencies import Service
from runner.http.problems import Problem, base_of
from runner.http.stops import stopped
from runner.http.waiting import gone

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
"""Proxies close what is silent for a minute."""
_COMMENT = b":\n\n"
LONGEST_SEND_S = 30.0
ADMITTED_S = 2.0
"""So often it is asked whether the caller may still listen: a revoked key is refused everywhere within 5 s."""
_LAST_SEND_S = 1.0
_RETRY_MS = 2000


class EventStream(Response):
    """The answer whose events are these frames. It ends with them, with the caller's right to it, with the caller, and with the service."""

    media_type = MEDIA_TYPE

    def __init__(self, frames: AsyncGenerator[bytes, None], service: Service, right: str) -> None:
        super().__init__()
        self._frames = frames
        self._service = service
        self._right = right

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, streams = Request(scope, receive), self._service.streams
        with ExitStack() as held:
            try:
                held.enter_context(streams.one_more())
                held.enter_context(self._service.one_more_waits())
            except Problem as problem:
                await problem.response(base_of(request))(scope, receive, send)
                return
            await self._stream(request, send)

    async def _stream(self, request: Request, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        leaves = asyncio.create_task(gone(request))
        telling = [asyncio.create_task(self._tell(send)), asyncio.create_task(_beat(send))]
        ends = [leaves, asyncio.create_task(stopped(self._service.stopping)), asyncio.create_task(_loses(request, self._right))]
        try:
            await asyncio.wait([*telling, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*telling, *ends):
                task.cancel()
            outcomes = await asyncio.gather(*telling, *ends, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, TimeoutError):
                raise outcome
        if not leaves.cancelled():
            return
        try:
            async with asyncio.timeout(_LAST_SEND_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # the caller does not read: the server closes the connection

    async def _tell(self, send: Send) -> None:
        await _send(send, f"retry: {_RETRY_MS}\n\n".encode())
        async with aclosing(self._frames) as frames:
            async for one in frames:
                await _send(send, one)


async def _loses(request: Request, right: str) -> None:
    """Return once the caller may no longer do this: the key was revoked, or has other rights."""
    while True:
        await asyncio.sleep(ADMITTED_S)
        if not await is_admitted_still(request, right):
            return


async def _beat(send: Send) -> None:
    """Comments, so that proxies see a connection that lives, and the server one that has died."""
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        await _send(send, _COMMENT)


async def _send(send: Send, data: bytes) -> None:
    """Raises TimeoutError if the caller does not read."""
    async with asyncio.timeout(LONGEST_SEND_S):
        await send({"type": "http.response.body", "body": data, "more_body": True})
