"""A hostile caller: so many connections that do the same over and over, each with as few bytes of its own as it can."""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import uvloop

from bench.programs import standard_input

_AGAIN_S = 0.05
_TRICKLE_S = 1.0
_BATCH_BYTES = 8_000_000
_JSON = "Content-Type: application/json\r\n"


def post(path: str, body: bytes, fields: str, length: int | None = None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body


def get(path: str, fields: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


def message_of(job: dict[str, Any]) -> bytes:
    """What each connection sends."""
    task, size = {"task": "noop"}, job["size"]
    own = "".join(f"{name}: {value}\r\n" for name, value in job["headers"].items())
    fields = own + _JSON
    match job["attack"]:
        case "large-batch":
            jobs = [{**task, "args": {"data": "x" * (size * 1_000)}}] * 1_000
            return post("/v1/jobs/batch", json.dumps({"jobs": jobs}).encode(), fields)
        case "many-values":
            values = b"[" + b"{}," * (size - 1) + b"{}]"
            return post("/v1/jobs", b'{"task":"anything","args":{"data":' + values + b"}}", fields)
        case "empty-objects":
            return post("/v1/jobs/batch", b'{"jobs":[' + b"{}," * (_BATCH_BYTES // 3) + b"{}]}", fields)
        case "one-job-often":
            named = [{**task, "id": job["job_id"]}] * 100
            return post("/v1/jobs/batch", json.dumps({"jobs": named}).encode(), fields)
        case "slow-bodies":
            return post("/v1/jobs/batch", b" " * (_BATCH_BYTES // 2), fields, _BATCH_BYTES)
        case "slow-heads":
            return b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
        case "idle":
            return b""
        case "polls":
            return get(f"/v1/jobs/{job['waiting_id']}?wait=60", own)
        case "large-results":
            return get(f"/v1/jobs/{job['job_id']}", own)
        case "heads":
            return get("/healthz", own + f"X: {'x' * 60_000}\r\n" + "".join(f"Y{n}: y\r\n" for n in range(90)))
        case "media-types":
            return post("/v1/jobs", b"{}", own + f"Content-Type: application/json{';a=b' * 15_000}\r\n")
    raise ValueError(job["attack"])


async def attack(host: str, port: int, message: bytes, *, trickles: bool) -> None:
    """Send it on a connection, read what comes, and begin again once the service has closed it."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(_AGAIN_S)
            continue
        try:
            writer.write(message)
            while trickles:
                await asyncio.sleep(_TRICKLE_S)
                writer.write(b"x")
                await writer.drain()
            while await reader.read(1 << 20):
                writer.write(message)
        except OSError:
            pass
        finally:
            writer.transport.abort()
        await asyncio.sleep(_AGAIN_S)


async def main(job: dict[str, Any]) -> None:
    orders, place, message = await standard_input(), urlsplit(job["url"]), message_of(job)
    print("ready", flush=True)
    await orders.readline()
    trickles = job["attack"].startswith("slow")
    attacks = [
        asyncio.create_task(attack(str(place.hostname), int(place.port or 0), message, trickles=trickles))
        for _ in range(job["connections"])
    ]
    await orders.read()
    for one in attacks:
        one.cancel()
    await asyncio.gather(*attacks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
