"""A program in a process of its own, as users run it: it says `ready` once warm, and is held there until everything is in place.

What is started here stops when its input ends, so that it never outlives who started it.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.workload import UNUSED
from runner import Settings, TokenBucket

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STOP_TIMEOUT_S = 10.0


class Program:
    """One program, warm and waiting for `go`. `said` is what stood behind its `ready`."""

    def __init__(self, process: Process, said: str) -> None:
        self._process = process
        self._cpu_before_s = 0.0
        self.said = said

    @property
    def pid(self) -> int:
        return self._process.pid

    def go(self) -> None:
        """Let it start; from here its processor time counts."""
        self._cpu_before_s = self._cpu_s()
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def answer(self) -> str:
        """The next line it prints."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    def cpu_s(self) -> float:
        """Processor seconds of all its threads since `go`, to 10 ms."""
        return self._cpu_s() - self._cpu_before_s

    def resident_bytes(self) -> int:
        """Memory it holds."""
        return resident_bytes(self.pid)

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    def check(self) -> None:
        """Raise RuntimeError if it has ended; its own words are on standard error."""
        if not self.runs:
            raise RuntimeError(f"process {self.pid} ended with status {self._process.returncode}")

    async def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def resident_bytes(pid: int) -> int:
    """Memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


@asynccontextmanager
async def program(name: str, *arguments: str, settings: Settings | None = None) -> AsyncIterator[Program]:
    """`python -m bench.programs.<name>` with these arguments and settings, ready; stopped at the end."""
    given = settings.model_dump(exclude_unset=True) if settings else {}
    environment = os.environ | {f"RUNNER_{field.upper()}": str(value) for field, value in given.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"bench.programs.{name}", *arguments, stdin=PIPE, stdout=PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        word, _, said = (await process.stdout.readline()).decode().strip().partition(" ")
        if word != "ready":
            raise RuntimeError(f"{name} ended before it was ready")
        yield Program(process, said)
    finally:
        await _stop(process)


@asynccontextmanager
async def workers(
    queues: Sequence[str], settings: Settings, metered: TokenBucket = UNUSED, every_s: float = 1.0
) -> AsyncIterator[list[Program]]:
    """A worker for each of these queues, all ready to go; stopped at the end, each with what it holds given back."""
    numbers = (metered.rate, str(metered.capacity), str(every_s))
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            starting = [
                group.create_task(stack.enter_async_context(program("worker", queue, *numbers, settings=settings))) for queue in queues
            ]
        yield [ready.result() for ready in starting]


async def _stop(process: Process) -> None:
    """End its input and wait for it; kill it if it does not stop in good order."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
