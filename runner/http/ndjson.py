"""NDJSON: a body of lines, each a JSON value, that is read while its answers are written; in memory there are a few portions of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from runner.http.arriving import next_part
from runner.http.large_bodies import LARGE_BYTES
from runner.http.problems import Problem
from runner.http.stops import stopped

MEDIA_TYPE = "application/x-ndjson"
MOST_LINES = 100
"""Lines of one portion."""
MOST_LINE_BYTES = LARGE_BYTES
"""A line is read at once, by the event loop, and none of it is more than what a connection buffers anyway."""
LONGEST_SEND_S = 30.0
_MOST_PORTIONS = 32
"""Answers that wait to be read by the caller: about 4 MB at most. Many clients send all before they read anything."""


class Line(NamedTuple):
    """One line: its number, from 1, and its text; None for one that is too long."""

    number: int
    text: bytearray | None


class Portion(NamedTuple):
    """Some lines: those that have a text. `last` is the number of the last one of all, `price` what they cost, empty ones and long ones too."""

    lines: list[Line]
    last: int
    price: int


def is_ndjson(request: Request) -> bool:
    """Whether a body of lines is announced. Raises `Problem` if it is compressed."""
    if request.headers.get("content-type", "")[:200].partition(";")[0].strip().lower() != MEDIA_TYPE:
        return False
    encodings = ", ".join(request.headers.getlist("content-encoding")).lower()
    if encodings not in ("", "identity"):
        raise Problem("unsupported-media-type", f"Content-Encoding is {encodings[:80]!r}: send the body uncompressed")
    return True


async def portions(request: Request, stop: asyncio.Task[None]) -> AsyncIterator[Portion]:
    """The lines as they come, in portions, see `cut`; until the body, the connection or the service ends.

    What is sent has a price, whatever it is: a token for each line, and for each `MOST_LINE_BYTES` of one that is too long.
    """
    reader, more = _Reader(), True
    while more:
        receiving = asyncio.ensure_future(next_part(request))
        await asyncio.wait([receiving, stop], return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            receiving.cancel()
            return
        try:
            part, more = receiving.result()
        except Problem:
            return
        for portion in reader.portions(part, is_last=not more):
            if stop.done():
                return
            yield portion


def cut(texts: Sequence[bytearray]) -> Iterator[list[bytearray]]:
    """Portions of at most `MOST_LINES` lines, and as many bytes as the longest line: what is read at once keeps everybody else waiting."""
    portion, size = list[bytearray](), 0
    for text in texts:
        if portion and (len(portion) == MOST_LINES or size + len(text) > MOST_LINE_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(text)
        size += len(text)
    if portion:
        yield portion


class _Reader:
    """Takes a body apart, part by part."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._number = 0
        self._skipped_bytes = 0
        """Of the line that is too long, and not over; 0 if there is none."""

    def portions(self, part: bytes, *, is_last: bool) -> Iterator[Portion]:
        """Those that end with this part."""
        self._buffer += part
        *whole, self._buffer = self._buffer.split(b"\n")
        if is_last and (self._buffer or self._skipped_bytes):
            whole.append(self._buffer)
        for texts in cut(whole):
            yield self._portion(texts)
        if not is_last and (self._skipped_bytes or len(self._buffer) > MOST_LINE_BYTES):
            yield self._begun()

    def _portion(self, whole: Sequence[bytearray]) -> Portion:
        lines: list[Line] = []
        price = 0
        for text in whole:
            self._number += 1
            if self._skipped_bytes:
                self._skipped_bytes = 0
                continue  # it was told of, and charged, when it began
            price += _price(len(text))
            if len(text) > MOST_LINE_BYTES:
                lines.append(Line(self._number, None))
            elif text.strip():
                lines.append(Line(self._number, text))
        return Portion(lines, self._number, price)

    def _begun(self) -> Portion:
        """A line that is too long already, and what more of it has come: it is not kept."""
        lines = [] if self._skipped_bytes else [Line(self._number + 1, None)]
        before = self._skipped_bytes
        self._skipped_bytes += len(self._buffer)
        self._buffer = bytearray()
        price = _price(self._skipped_bytes) - (_price(before) if before else 0)
        return Portion(lines, self._number + (before == 0), price)


def _price(line_bytes: int) -> int:
    return max(-(-line_bytes // MOST_LINE_BYTES), 1)


class LinesAnswer(Response):
    """An answer in lines, written while the request is read. A caller who does not read it for half a minute is given up."""

    media_type = MEDIA_TYPE

    def __init__(self, answers: AsyncGenerator[bytes, None]) -> None:
        super().__init__()
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the answers read the request
        await send({"type": "http.response.start", "status": 200, "headers": self._head})
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_PORTIONS)
        reads, writes = asyncio.create_task(self._read(waiting)), asyncio.create_task(_write(waiting, send))
        try:
            await asyncio.wait([reads, writes], return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in (reads, writes):
                task.cancel()
            outcomes = await asyncio.gather(reads, writes, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, TimeoutError):
                raise outcome

    @property
    def _head(self) -> list[tuple[bytes, bytes]]:
        return [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]

    async def _read(self, waiting: "asyncio.Queue[bytes | None]") -> None:
        async for answer in self._answers:
            await waiting.put(answer)
        await waiting.put(None)


async def _write(waiting: "asyncio.Queue[bytes | None]", send: Send) -> None:
    """Raises TimeoutError if the caller does not read."""
    more = True
    while more:
        answer = await waiting.get()
        more = answer is not None
        async with asyncio.timeout(LONGEST_SEND_S):
            await send({"type": "http.response.body", "body": answer or b"", "more_body": more})


def stop_of(stopping: asyncio.Event | None) -> asyncio.Task[None]:
    """A task that ends when the service stops."""
    return asyncio.create_task(stopped(stopping))
