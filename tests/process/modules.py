"""Modules that run as processes of their own, as a user starts them: `python -m ...`."""

import asyncio
import os
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx


@asynccontextmanager
async def running(python: str, variables: Mapping[str, str], *words: str, folder: Path | None = None) -> AsyncIterator[None]:
    """One runs as long as the block; it is asked to end then, and has ended after it."""
    environment = {**os.environ, **variables}
    process = await asyncio.create_subprocess_exec(python, "-m", *words, cwd=folder, stdin=DEVNULL, stdout=DEVNULL, env=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def answers(http: httpx.AsyncClient) -> bool:
    """Whether a FastAPI service is up."""
    try:
        return (await http.get("/openapi.json")).is_success
    except httpx.TransportError:
        return False
