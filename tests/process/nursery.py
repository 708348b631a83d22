"""Worker processes in numbers: one process imports everything once, and forks a worker for each line it reads.

    async with nursery_of(url, folder) as nursery:
        pid = await nursery.spawn(queue, failpoints="claim:after=exit@2")
        status = await nursery.ended(pid)

A forked worker comes to work within milliseconds. All end with the nursery, and the nursery with the test.
"""

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from tests.eventually import PATIENCE_S
from tests.process import planner, worker_main

LOOK_S = 0.02


class Nursery:
    """Speaks with the process that forks."""

    def __init__(self, process: Process, url: str, folder: Path) -> None:
        self._process = process
        self._url, self._folder = url, folder
        self._spawned: asyncio.Queue[int] = asyncio.Queue()
        self._one_birth = asyncio.Lock()
        self._statuses: dict[int, int] = {}
        self._ended = asyncio.Condition()

    async def spawn(self, queue: str, **settings: Any) -> int:
        """The process id of a new worker of this queue, or of a `Planner` if the setting "program" says "planner". What it logs is in FOLDER/QUEUE/worker-PID.log, its runs in FOLDER/QUEUE/runs."""
        folder = self._folder / queue
        folder.mkdir(exist_ok=True)
        assert self._process.stdin is not None
        async with self._one_birth, asyncio.timeout(PATIENCE_S):
            self._process.stdin.write(json.dumps([self._url, queue, str(folder), json.dumps(settings)]).encode() + b"\n")
            return await self._spawned.get()

    async def ended(self, pid: int) -> int:
        """The status with which this worker ended by itself; negative for a signal."""
        async with asyncio.timeout(PATIENCE_S), self._ended:
            await self._ended.wait_for(lambda: pid in self._statuses)
            return self._statuses[pid]

    async def kill(self, pid: int) -> None:
        if pid not in self._statuses:
            os.kill(pid, signal.SIGKILL)
            await self.ended(pid)

    async def listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            word, *numbers = line.split()
            if word == b"spawned":
                self._spawned.put_nowait(int(numbers[0]))
            else:
                async with self._ended:
                    self._statuses[int(numbers[0])] = int(numbers[1])
                    self._ended.notify_all()


@asynccontextmanager
async def nursery_of(url: str, folder: Path) -> AsyncIterator[Nursery]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.process.nursery", stdin=PIPE, stdout=PIPE)
    nursery = Nursery(process, url, folder)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


# In the process that forks


def tend() -> None:
    """Fork a worker for each line of standard input; tell of each one's birth and end. At the end of the input all are killed."""
    children: dict[int, int] = {}
    text = b""
    while True:
        if select.select([0], [], [], LOOK_S)[0]:
            piece = os.read(0, 65536)
            if not piece:
                break
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                reader, writer = os.pipe()
                pid = os.fork()
                if pid == 0:
                    be_a_worker(json.loads(line), reader, [writer, *children.values()])
                os.close(reader)
                children[pid] = writer
                say(f"spawned {pid}")
        bury(children)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def bury(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        os.close(children.pop(pid))
        say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def be_a_worker(arguments: list[str], reader: int, others: list[int]) -> NoReturn:
    """Standard input ends when the nursery does: that ends the worker too."""
    for descriptor in others:
        os.close(descriptor)
    os.dup2(reader, 0)
    log = os.open(Path(arguments[2]) / f"worker-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv[1:] = arguments
    status = 1
    try:
        planner.start() if json.loads(arguments[3]).pop("program", "") == "planner" else worker_main.start()
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    tend()
