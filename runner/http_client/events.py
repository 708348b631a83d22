"""Server-sent events as they are read: frame by frame, on another connection from the last one on if a connection is lost."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, NamedTuple

from runner.clock import monotonic_s
from runner.errors import ServiceUnavailable, StoreUnavailable, TooManyRequests
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call, Lost

_SILENCE_S = 40.0
"""Without a byte, after which a stream is dead: the service sends one every 15 s."""
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0


class Frame(NamedTuple):
    """One event; of kind "" a heartbeat."""

    kind: str
    data: Any
    id: str | None


async def frames(session: HttpSession, path: str, last_id: str | None) -> AsyncGenerator[Frame, None]:
    """The events of a stream after the last one, until the service says that there are no more (204).

    Raises `ServiceUnavailable` if the service is away for longer than the session's patience, `StoreUnavailable` if Redis is, and what the
    service answers, as `UnknownJob`.
    """
    away_since_s: float | None = None
    pause_s = _PAUSE_S
    while True:
        error: StoreUnavailable
        try:
            headers = {} if last_id is None else {"Last-Event-ID": last_id}
            async with session.stream(Call("GET", path, headers=headers), _SILENCE_S) as stream:
                if stream.answer.status == 204:
                    return
                async with aclosing(_parsed(session.each(stream))) as parsed:
                    async for frame in parsed:
                        if frame.kind == "away":
                            away_since_s = away_since_s or monotonic_s()
                        elif frame.kind:
                            last_id, away_since_s, pause_s = frame.id or last_id, None, _PAUSE_S
                            yield frame
                        if away_since_s is not None and monotonic_s() - away_since_s > session.patience_s:
                            break
            error = session.lost(None) if away_since_s is None else StoreUnavailable("the service cannot ask Redis")
        except Lost as lost:
            error = session.lost(lost)
            if lost.is_hopeless:
                raise error from None
        except StoreUnavailable as refused:  # it is busy, or away itself
            error = refused
        away_since_s = away_since_s or monotonic_s()
        after_s = error.retry_after_s if isinstance(error, (ServiceUnavailable, TooManyRequests)) else None
        wait_s = pause_s if after_s is None else after_s
        if monotonic_s() + wait_s - away_since_s > session.patience_s:
            raise error
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        await session.pause(wait_s)


async def _parsed(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[Frame, None]:
    fields: dict[str, str] = {}
    async with aclosing(parts):
        async for line in _lines(parts):
            name, _, value = line.partition(":")
            if not line:
                if "data" in fields:
                    yield Frame(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
                fields = {}
            elif name:
                fields[name] = value.removeprefix(" ")
            else:
                yield Frame("", None, None)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode()
