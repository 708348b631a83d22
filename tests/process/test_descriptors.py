"""A process that may open no more files or connections: it waits, says so, and goes on once it may."""

import asyncio
import os
import resource
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from runner.cli.loading import DEFAULT_APP
from runner.connection.client import command
from tests import invariants
from tests.app_internals import publish
from tests.conftest import connect
from tests.eventually import PATIENCE_S, eventually
from tests.process.apps import App
from tests.process.crew import crew_of, final, worker_ids
from tests.recovery import Recovery
from tests.servers import Server

QUEUE = "descriptors"


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """Within, this process can open nothing, and keeps what it has."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@pytest.mark.fault("X01", bound_s=5)
async def test_a_worker_without_descriptors_keeps_what_it_runs_and_goes_on(
    private_server: Server, tmp_path: Path, recovery: Recovery
) -> None:
    app = App(private_server.url, QUEUE, tmp_path)
    async with crew_of(private_server.url, QUEUE, tmp_path) as crew, connect(private_server.url) as redis:
        worker = await crew.start(lease_s=20, renew_s=0.4)
        ids = await app.submit(app.nap, range(3), 1.0)
        await eventually(lambda: app.runs().total() == 3)
        with no_descriptors(worker.pid):
            await command(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            ids += await app.submit(app.nap, range(3, 6))
            for actor in ("claiming", "renewal of the lease", "outcomes"):
                await eventually(lambda: any(f"{actor} wait" in line for line in worker.log.splitlines()))  # noqa: B023 - awaited at once
        recovery.begins()
        await final(redis, QUEUE, ids)
        recovery.ends()
        assert worker.runs
        assert app.runs() == dict.fromkeys(ids, 1)
        live = (await worker_ids(redis, QUEUE)).values()
        assert await invariants.violations(redis, QUEUE, ids, live=live) == []
    await app.runner.close()


@pytest.mark.fault("X01", bound_s=5)
async def test_a_service_without_descriptors_serves_again_once_it_has_some(
    private_server: Server, tmp_path: Path, recovery: Recovery
) -> None:
    app = App(private_server.url, "default", tmp_path)
    await publish(app.runner)
    async with (
        a_service(private_server, tmp_path) as (pid, url),
        connect(private_server.url) as redis,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=10.0) as known,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=2.0) as new,
    ):
        assert (await known.get("/readyz")).status_code == 200
        with no_descriptors(pid):
            await command(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            answer = await known.get("/readyz")
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
            with pytest.raises(httpx.TransportError):
                await new.get("/healthz")
        recovery.begins()
        await eventually(lambda: is_ready(new))
        recovery.ends()
        assert (await known.post("/v1/jobs", json={"task": "nap", "args": {"number": 1}})).status_code == 202
    await app.runner.close()


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def a_service(server: Server, folder: Path) -> AsyncIterator[tuple[int, str]]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "runner", "api", "--app", DEFAULT_APP, "--port", "0", "--redis-url", server.url],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=DEVNULL,
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            line = ""
            while not line.startswith("listening on "):
                line = (await process.stdout.readline()).decode()
        yield process.pid, line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            await process.communicate()
