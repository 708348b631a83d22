"""The processes of a campaign: workers, takers and producers, each behind a proxy of its own, and an API; killed and started at will."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from itertools import count, product
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.names import DEFAULT_POOL
from runner.store.keys import GROUP, Keys
from tests.chaos.campaign.calls import NEW, OLD, QUEUE
from tests.chaos.campaign.orders import Orders
from tests.process.crew import WorkerProcess
from tests.proxy import Proxy
from tests.servers import free_port

KEYS = Keys(QUEUE)
WORKER = "tests.chaos.campaign.worker"
TAKER = "tests.chaos.campaign.taker"
BY_NAME = "tests.chaos.campaign.by_name"
IN_PLAIN_CODE = "tests.chaos.campaign.in_plain_code"
BRANCH_WORKER = "tests.chaos.campaign.branch.worker"
_LOG_TAIL = 3_000
_START_S = 90.0
"""A process that starts or ends may take so long on a machine that is busy with other things."""


def _first_defect(log: str) -> str:
    """An error that nobody expects, with what follows, or nothing; tracebacks of failed attempts are indented, and none is critical."""
    found = re.search(r"^Traceback|^.* CRITICAL ", log, re.MULTILINE)
    return log[found.start() :][:_LOG_TAIL] if found else ""


class Post:
    """A place for a process: those that stand there one after another reach the server through the same proxy."""

    def __init__(
        self,
        name: str,
        proxy: Proxy,
        folder: Path,
        settings: dict[str, Any],
        module: str = WORKER,
        seed: int = 0,
        version: int = OLD,
        pools: str = "",
    ) -> None:
        self.name = name
        self.proxy = proxy
        self.version = version
        """Of the application; the next process that starts here is of it."""
        self._module = module
        self._folder = folder
        self.settings = settings
        self._seed = seed
        self._pools = pools
        self._launches = count()
        self._is_told_to_end = False
        self.process: WorkerProcess | None = None
        self.versions: dict[int, int] = {}
        """The version of each process that stood here, by its id."""
        self.tracebacks: list[str] = []

    @property
    def pid(self) -> int:
        return 0 if self.process is None else self.process.pid

    @property
    def works(self) -> bool:
        """Whether a process stands here that nobody has told to end, or killed: that it is gone is known a moment later."""
        return self.process is not None and self.process.runs and not self._is_told_to_end

    @property
    def has_left_by_itself(self) -> bool:
        """Whether the process has ended, and nobody had told it to."""
        return self.process is not None and not self.process.runs and not self._is_told_to_end

    async def start(self) -> None:
        """One that works stands here afterwards; what its forerunner logged is looked through."""
        await self.clear()
        launch = next(self._launches)
        name = f"{self.name}-{launch}"
        own = {"pools": self._pools} if self._pools and self.version == NEW else {}
        orders = Orders(self.proxy.url, self._folder / f"notes-{name}", self.settings | own, self._seed, self.version, launch)
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, *orders.arguments(), stdin=PIPE, stdout=PIPE, stderr=output
            )
        self._is_told_to_end = False
        self.process = WorkerProcess(process, log)
        self.versions[process.pid] = self.version
        await self.process.says("working", _START_S)

    async def clear(self) -> None:
        """Nobody stands here afterwards."""
        if self.process is not None:
            if self.has_left_by_itself:
                self.tracebacks.append(f"{self.name} {self.pid} left by itself: {self.process.log[-_LOG_TAIL:]}")
            await self.process.end()
            self._look_through(self.process)
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self._is_told_to_end |= number in (signal.SIGTERM, signal.SIGKILL)
        self.process.signal(number)

    async def ended(self) -> int:
        assert self.process is not None
        return await self.process.ended(_START_S)

    def resident_bytes(self) -> int:
        """Memory of the process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _look_through(self, process: WorkerProcess) -> None:
        if unexpected := _first_defect(process.log):
            self.tracebacks.append(f"{self.name} {process.pid}: {unexpected}")


class Api:
    """The HTTP service as a process. A job that fails at its submission is kept for as long as the service's settings say."""

    def __init__(self, proxy: Proxy, folder: Path, settings: dict[str, Any]) -> None:
        self._environment = {f"RUNNER_{name.upper()}": str(value) for name, value in {"redis_url": proxy.url, **settings}.items()}
        self._folder = folder
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", trust_env=False, timeout=15.0)

    async def start(self) -> None:
        """It answers afterwards."""
        arguments = ["api", "--app", "tests.chaos.campaign.api_app:jobs", "--host", "127.0.0.1", "--port", str(self._port)]
        with (self._folder / "api.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "runner", *arguments, stdout=output, stderr=output, env={**os.environ, **self._environment}
            )
        async with asyncio.timeout(_START_S):
            while True:
                if await self._lives():
                    return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        await self.kill()
        await self.http.aclose()

    @property
    def traceback(self) -> str:
        """The first one it logged, or nothing."""
        log = self._folder / "api.log"
        return _first_defect(log.read_text() if log.exists() else "")

    async def _lives(self) -> bool:
        try:
            return (await self.http.get("/healthz")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


class Touched:
    """A job that a worker held when a fault hit it."""

    def __init__(self, job: str, worker: str, attempt: bytes | None) -> None:
        self.job = job
        self.worker = worker
        self._attempt = attempt

    async def is_elsewhere(self, redis: Redis) -> bool:
        """Whether it has ended, or is in nobody's or in other hands."""
        state, worker, attempt = await command(redis, "HMGET", KEYS.job(self.job), "state", "worker", "attempt")
        return bool(state != b"running" or attempt != self._attempt or worker.decode() != self.worker)


async def held_by(redis: Redis, worker: str) -> list[Touched]:
    """The jobs a worker holds."""
    found = []
    pools = [DEFAULT_POOL, *(name.decode() for name in await command(redis, "ZRANGE", KEYS.pools, 0, -1))]
    for priority, pool in product(Priority, pools):
        stream = KEYS.stream(priority, pool)
        rows: list[Any] = []
        with suppress(ResponseError):  # nobody has read this stream, or there is none
            rows = await redis.xpending_range(stream, GROUP, "-", "+", 1000, worker)
        for row in rows:
            for _, fields in await command(redis, "XRANGE", stream, row["message_id"], row["message_id"]):
                job = fields[b"id"].decode()
                found.append(Touched(job, worker, await command(redis, "HGET", KEYS.job(job), "attempt")))
    return found
