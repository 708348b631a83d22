"""Worker processes of one test: started, signalled, killed, and never left behind."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from runner.connection.client import command
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import PATIENCE_S, eventually


class WorkerProcess:
    """One `tests.process.worker_main`."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    async def says(self, word: str, within_s: float = PATIENCE_S) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(within_s):
            line = (await self._process.stdout.readline()).decode().strip()
        assert line == word, f"{line!r} instead of {word!r}:\n{self.log}"

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        self.signal(signal.SIGKILL)
        await self._process.wait()

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended by itself."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()

    async def end(self) -> None:
        """Whatever state it is in, afterwards it is gone."""
        if self.runs:
            await self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()


class Crew:
    """The worker processes of one app."""

    def __init__(self, url: str, queue: str, folder: Path) -> None:
        self._arguments = (url, queue, str(folder))
        self._folder = folder
        self._numbers = count()
        self.all: list[WorkerProcess] = []

    @property
    def alive(self) -> list[WorkerProcess]:
        return [worker for worker in self.all if worker.runs]

    async def start(self, *, checkout: Path | None = None, first: str = "", **settings: Any) -> WorkerProcess:
        """A worker that works; of another version of the library, if it is given the folder that holds `runner` and `tests`."""
        worker = await self.launch(checkout=checkout, first=first, **settings)
        await worker.says("working")
        return worker

    async def launch(self, *, checkout: Path | None = None, first: str = "", **settings: Any) -> WorkerProcess:
        """A worker that has just been started; `first` is code that its process runs before anything else."""
        environment = None if checkout is None else {**os.environ, "PYTHONPATH": str(checkout)}
        log = self._folder / f"worker-{next(self._numbers)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                f"{first}\nimport runpy; runpy.run_module('tests.process.worker_main', run_name='__main__', alter_sys=True)",
                *self._arguments,
                json.dumps(settings),
                stdin=PIPE,
                stdout=PIPE,
                stderr=output,
                cwd=checkout,
                env=environment,
            )
        self.all.append(WorkerProcess(process, log))
        return self.all[-1]

    def check_logs(self) -> None:
        """No worker may have met an error that it did not expect: those of attempts are indented, defects are critical."""
        for worker in self.all:
            assert not re.search(r"^Traceback| CRITICAL ", worker.log, re.MULTILINE), worker.log[-5000:]


@asynccontextmanager
async def crew_of(url: str, queue: str, folder: Path) -> AsyncIterator[Crew]:
    crew = Crew(url, queue, folder)
    try:
        yield crew
    finally:
        for worker in crew.all:
            await worker.end()
    crew.check_logs()


async def worker_ids(redis: Redis, queue: str) -> dict[int, str]:
    """The ids of the workers that are enlisted, by process id."""
    keys, ids = Keys(queue), {}
    for name in await command(redis, "ZRANGE", keys.workers, 0, -1):
        details = await command(redis, "HGET", keys.worker(name.decode()), "details")
        ids[json.loads(details or "{}").get("pid", 0)] = name.decode()
    return ids


async def final(redis: Redis, queue: str, ids: list[str], within_s: float = PATIENCE_S) -> None:
    """Wait until every job has ended."""
    left: list[str] = []

    async def all_have_ended() -> bool:
        left[:] = await invariants.unfinished(redis, queue, ids)
        return not left

    try:
        await eventually(all_have_ended, within_s)
    except AssertionError as error:
        raise AssertionError(f"{len(left)} of {len(ids)} jobs have not ended within {within_s:g} s: {left[:20]}") from error
