"""Scripts of a user as processes of their own, in which a warning is an error."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from textwrap import dedent

from tests.children import start_child
from tests.eventually import PATIENCE_S

HEAD = """
    import atexit, os, signal, threading
    from runner import Runner, TokenBucket
    jobs = Runner(os.environ["QUEUE"])
    limit = jobs.limit(TokenBucket("slow", rate="1/h", burst=1))

    @jobs.task
    async def greet(name: str) -> str:
        return name
"""


@asynccontextmanager
async def script(body: str, redis_url: str, queue: str, **variables: str) -> AsyncIterator[Process]:
    """A script in which everything that is left open is an error on stderr."""
    environment = {**os.environ, "RUNNER_REDIS_URL": redis_url, "QUEUE": queue, **variables}
    code = dedent(HEAD) + dedent(body)
    process = await start_child(*(sys.executable, "-W", "error", "-c", code), env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: Process) -> tuple[int | None, str]:
    """Its status and what it wrote to stderr."""
    async with asyncio.timeout(PATIENCE_S):
        _, errors = await process.communicate(b"\n")
    return process.returncode, errors.decode()


def interrupt(process: Process) -> None:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
