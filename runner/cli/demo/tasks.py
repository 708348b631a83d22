"""The app of a command without --app: small tasks to try things with, and one behind a limit."""

import asyncio
import os
import ssl
from typing import Any

from runner import Runner, TokenBucket
from runner.extras import needed_by

with needed_by("the demonstration"):
    import httpx

METERED = TokenBucket("metered", capacity=10, refill=2, every=0.5)

jobs = Runner()

# Reading the certificates takes 20 ms, so each process does it once, not each call.
_TLS = ssl.create_default_context()


@jobs.task
def add(a: float, b: float) -> float:
    """The sum of two numbers. A plain function, so it runs in a thread."""
    return a + b


@jobs.task
async def echo(text: str) -> str:
    """The text, unchanged."""
    return text


@jobs.task
async def sleep(seconds: float) -> float:
    """Take some time; returns how much."""
    await asyncio.sleep(seconds)
    return seconds


@jobs.task(limits=[METERED], timeout=10)
async def call_metered(number: int, port: int) -> dict[str, Any]:
    """Call the metered service on a port of this machine and return its answer. Ten at once, then two more every half second."""
    caller = {"x-caller": str(os.getpid())}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=caller, verify=_TLS, trust_env=False) as service:
        response = await service.post(f"/calls/{number}")
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
