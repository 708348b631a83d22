"""A small load generator for machines without wrk: each connection sends the same request again as soon as it is answered."""

import asyncio
import json
import sys
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from bench.http_load import Request
from bench.scenario import percentiles
from runner.clock import monotonic_us

_POLL_S = 0.01


class Connection(asyncio.Protocol):
    """One connection. An answer has a Content-Length, as those of the services measured here do."""

    def __init__(self, request: bytes, times_us: list[int]) -> None:
        self._request = request
        self._times_us = times_us
        self._received = b""
        self._sent_us = 0
        self.failures = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._times_us.append(monotonic_us() - self._sent_us)
        self.failures += not head.startswith(b"HTTP/1.1 2")
        self._received = b""
        self._send()

    def connection_lost(self, _: Exception | None) -> None:
        self.failures += not self._transport.is_closing()

    def _send(self) -> None:
        self._sent_us = monotonic_us()
        self._transport.write(self._request)


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


async def main(job: dict[str, Any]) -> None:
    address, request = urlsplit(job["url"]), Request(**job["request"])
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
    head += f"Authorization: Bearer {request.key}\r\n" if request.key else ""
    head += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n\r\n"
    message, times_us = (head + request.body).encode(), list[int]()
    loop = asyncio.get_running_loop()
    begun_us = monotonic_us()
    opened = [
        await loop.create_connection(lambda: Connection(message, times_us), address.hostname, address.port)
        for _ in range(job["connections"])
    ]
    await asyncio.sleep(job["seconds"])
    while not times_us:  # noqa: ASYNC110 - a slow first answer; it is counted with the time it took
        await asyncio.sleep(_POLL_S)
    duration_s = (monotonic_us() - begun_us) / 1_000_000
    failures = sum(connection.failures for _, connection in opened)
    for transport, _ in opened:
        transport.close()
    spread = percentiles([time_us / 1_000 for time_us in times_us], "ms")
    result = {"requests": len(times_us), "duration_s": duration_s, "failures": failures}
    print("RESULT", json.dumps(result | {name: spread[name] for name in ("p50_ms", "p99_ms")}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
