"""Frames: what a worker and its child tell each other. A JSON object, and bytes beside it: never an object of Python's, which could be code."""

import json
import os
from asyncio import StreamReader
from typing import Any, NamedTuple

_HEAD = 8
_LONGEST = 2**31


class Frame(NamedTuple):
    """`head` says what it is, `body` is arguments or a result as JSON, as Redis has them."""

    head: dict[str, Any]
    body: bytes = b""

    def encoded(self) -> bytes:
        """Both lengths, the head, the body."""
        head = json.dumps(self.head).encode()
        return len(head).to_bytes(4, "big") + len(self.body).to_bytes(4, "big") + head + self.body


async def read_frame(reader: StreamReader) -> Frame:
    """The next one. Raises `asyncio.IncompleteReadError` at the end, and ValueError for what is no frame."""
    head, body = _lengths(await reader.readexactly(_HEAD))
    return Frame(_object(await reader.readexactly(head)), await reader.readexactly(body))


def read_frame_from(descriptor: int) -> Frame:
    """The same of a blocking descriptor. Raises EOFError at the end."""
    head, body = _lengths(_exactly(descriptor, _HEAD))
    return Frame(_object(_exactly(descriptor, head)), _exactly(descriptor, body))


def write_all(descriptor: int, data: bytes) -> None:
    """Write to a blocking descriptor."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _lengths(data: bytes) -> tuple[int, int]:
    head, body = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")
    if max(head, body) > _LONGEST:
        raise ValueError(f"a frame of {head} and {body} bytes is none")
    return head, body


def _object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("a frame begins with a JSON object")  # noqa: TRY004 - what came is wrong, not its type here
    return value


def _exactly(descriptor: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        piece = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not piece:
            raise EOFError("the worker is gone")
        parts += piece
    return bytes(parts)
