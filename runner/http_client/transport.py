"""Transport: one request sent once, and its answer. What sends it is imported when the first client is made, see `with_httpx`."""

import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Protocol, cast

from runner.extras import needed_by


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `is_repeatable`: to do it twice is to do it once, so it is sent again though its answer was lost."""

    method: str
    path: str
    query: Mapping[str, str | int | float | list[str]] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    wait_s: float = 0.0
    """How long the service may wait with its answer, as it was asked to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, with its headers by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is read while it comes. Reading raises `Lost`."""

    answer: Answer
    """Without a body if it is a success."""
    parts: AsyncIterator[bytes]


class Lost(Exception):
    """No whole answer came. was_sent: the service may have done what was asked. is_hopeless: to try again is of no use."""

    def __init__(self, text: str, *, was_sent: bool, is_hopeless: bool = False) -> None:
        super().__init__(text)
        self.was_sent = was_sent
        self.is_hopeless = is_hopeless


class Transport(Protocol):
    """The connections of one event loop to one service."""

    async def send(self, call: Call, timeout_s: float) -> Answer:
        """Send a request and read its answer; give up after `timeout_s` without a byte. Raises `Lost`."""

    def stream(self, call: Call, timeout_s: float) -> AbstractAsyncContextManager[Stream]:
        """The same for an answer that may be long, or never end. Raises `Lost`."""

    async def close(self) -> None:
        """Close all connections."""


Open = Callable[[str, Mapping[str, str], SSLContext | None], Transport]


def opener() -> Open:
    """What opens connections to a URL, with these headers in each request. Raises `MissingExtra`."""
    with needed_by("runner.HttpClient"):
        module = importlib.import_module("runner.http_client.with_httpx")
    return cast("Open", module.HttpxTransport)
