"""Fixtures of the service's tests: the service on a free port of the test's own loop, and an app with a worker to run its jobs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from runner import Client, HttpClient, Runner, Settings, TokenBucket, Worker, load_settings
from runner.http.server import serve
from tests.app_internals import publish
from tests.eventually import PATIENCE_S


@dataclass
class Service:
    """A service that runs: a client for it, and its own task with the event that ends it."""

    http: httpx.AsyncClient
    url: str
    stopping: asyncio.Event
    task: asyncio.Task[None]

    async def submit(self, task: str, **fields: Any) -> str:
        """Submit a job that must be accepted; its id."""
        answer = await self.http.post("/v1/jobs", json={"task": task, **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


@dataclass
class Gate:
    """Where jobs of the task `held` wait until the test lets them go."""

    started: asyncio.Event
    open: asyncio.Event


@asynccontextmanager
async def serving(settings: Settings, queue: str, **options: Any) -> AsyncIterator[Service]:
    """The service through real sockets; stopped at the end, and its error is the test's. `options` are those of `serve`."""
    started = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()
    serving = serve(queue, settings=settings, on_started=started.set_result, stopping=stopping, **{"port": 0, **options})
    task = asyncio.create_task(serving, name="service")
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    async with httpx.AsyncClient(base_url=started.result(), timeout=PATIENCE_S, trust_env=False) as http:
        yield Service(http, started.result(), stopping, task)
    stopping.set()
    async with asyncio.timeout(PATIENCE_S):
        await task


@pytest.fixture
def gate() -> Gate:
    return Gate(asyncio.Event(), asyncio.Event())


@pytest.fixture
async def app(redis_url: str, queue: str, gate: Gate) -> AsyncIterator[Runner]:
    """An app whose tasks are in the catalog; nothing runs them without `worker`."""
    app = make_app(queue, load_settings(redis_url=redis_url, concurrency=10, drain_s=1.0), gate)
    await publish(app)
    yield app
    await app.close()


@pytest.fixture
async def service(app: Runner) -> AsyncIterator[Service]:
    async with serving(app.settings, app.queue) as service:
        yield service


@pytest.fixture
async def worker(app: Runner) -> AsyncIterator[Worker]:
    async with working(app) as worker:
        yield worker


@asynccontextmanager
async def working(app: Runner) -> AsyncIterator[Worker]:
    """A worker, at work; stopped at the end."""
    worker = Worker(app)
    task = asyncio.create_task(worker.run(), name="worker")
    async with asyncio.timeout(PATIENCE_S):
        await worker.wait_until_working()
    yield worker
    worker.stop()
    worker.stop()
    async with asyncio.timeout(PATIENCE_S):
        await task


def make_app(queue: str, settings: Settings, gate: Gate) -> Runner:
    app = Runner(queue, settings=settings)
    slow = TokenBucket("slow", capacity=2, refill=1, every=3600)
    tenant = TokenBucket("tenant", rate="100/s", key="{tenant}")

    @app.task
    async def add(left: int, right: int = 1) -> int:
        """Add two numbers."""
        return left + right

    @app.task
    async def echo(value: Any) -> Any:
        return value

    @app.task(retries=0)
    async def broken(text: str) -> None:
        raise ValueError(text)

    @app.task
    async def held() -> str:
        gate.started.set()
        await gate.open.wait()
        return "let go"

    @app.task(limits=[slow])
    async def scarce(number: int = 0) -> int:
        return number

    @app.task(limits=[tenant])
    async def keyed(tenant: str) -> str:
        return tenant

    return app


def both_clients(preset: str = "admin") -> Any:
    """A fixture: a client of the queue, and then one over HTTP with a key of this preset."""

    @pytest.fixture(params=["redis", "http"])
    async def client(request: pytest.FixtureRequest, app: Runner, service: Service) -> AsyncIterator[Client | HttpClient]:
        if request.param == "redis":
            async with Client(app.queue, settings=app.settings) as direct:
                yield direct
        else:
            secret = (await app.client.keys.create("tests", preset=preset)).secret
            async with HttpClient(service.url, key=secret) as over_http:
                yield over_http

    return client
