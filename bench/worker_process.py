"""A worker in a process of its own, as users run it; started warm, and held until everything is in place."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runner import Settings, TokenBucket

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_TIMEOUT_S = 10.0
_UNUSED = TokenBucket("metered", rate="1/s")


class WorkerProcess:
    """One worker, warm and waiting for `go`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._cpu_before_s = 0.0

    def go(self) -> None:
        """Start on the queue; from here its processor time counts."""
        self._cpu_before_s = self._cpu_s()
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    def cpu_s(self) -> float:
        """Processor seconds of all its threads since `go`, to 10 ms."""
        return self._cpu_s() - self._cpu_before_s

    def check(self) -> None:
        """Raise RuntimeError if it has ended; its own words are on standard error."""
        if self._process.returncode is not None:
            message = f"worker process {self._process.pid} ended with status {self._process.returncode}"
            raise RuntimeError(message)

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


@asynccontextmanager
async def worker_processes(
    count: int, queue: str, settings: Settings, metered: TokenBucket = _UNUSED
) -> AsyncIterator[list[WorkerProcess]]:
    """`count` workers with these settings, ready to go; stopped at the end, each with what it holds given back."""
    environment = os.environ | {f"RUNNER_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_unset=True).items()}
    command = [sys.executable, "-m", "bench.worker", queue, metered.rate, str(metered.capacity)]
    processes: list[Process] = []
    try:
        while len(processes) < count:
            processes.append(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment))
        for process in processes:
            assert process.stdout is not None
            if await process.stdout.readline() != b"ready\n":
                message = f"worker process {process.pid} ended before it was ready"
                raise RuntimeError(message)
        yield [WorkerProcess(process) for process in processes]
    finally:
        for process in processes:
            await _stop(process)


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
