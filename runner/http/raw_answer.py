"""RawAnswer: a job's result as it is stored, sent part by part: the process holds one part of it, however slowly its caller reads."""

import logging
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.types import Send

from runner import RawResult, StoreUnavailable, UnknownJob

log = logging.getLogger("runner")

_PIECE = 262_144
"""Bytes handed to the server at once: it keeps what its caller does not take, beside the part that this comes from."""


class RawAnswer(StreamingResponse):
    """The next part is read from Redis when the one before has gone to the caller. No connection to Redis is held meanwhile."""

    def __init__(self, result: RawResult) -> None:
        super().__init__(_pieces(result), headers={"content-length": str(result.size)}, media_type="application/json")
        self._result = result

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except (StoreUnavailable, UnknownJob) as error:
            # The server closes the connection before all that was announced has come, so that the caller knows.
            log.warning("the result of job %s was sent in part only: %s", self._result.id, error)


async def _pieces(result: RawResult) -> AsyncIterator[bytes]:
    async for part in result:
        for offset in range(0, len(part), _PIECE):
            yield part[offset : offset + _PIECE]
