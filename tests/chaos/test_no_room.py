"""No room for more: the server's memory is full, its disk is full, the queue has as many jobs as it may have."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runner import Client, JobOptions, Runner, StoreUnavailable, Worker
from runner.errors import BacklogFull, StoreFull
from runner.store.claims import ClaimRequest
from runner.store.keys import Keys
from tests import invariants
from tests.app_internals import publish, store_of
from tests.conftest import OWN_KINDS, connect
from tests.eventually import eventually
from tests.http.conftest import Gate, Service, make_app, serving, working
from tests.recovery import Recovery
from tests.servers import Server
from tests.worker.conftest import short_settings

QUEUE = "no-room"


@dataclass
class Scene:
    """A service, a worker of two slots, and a plain client of their server."""

    app: Runner
    service: Service
    worker: Worker
    redis: Redis
    gate: Gate

    async def post(self, **body: object) -> httpx.Response:
        return await self.service.http.post("/v1/jobs", json=body)

    async def ended(self, job_id: str) -> dict[str, object]:
        fields: dict[str, object] = (await self.service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})).json()
        return fields

    async def lease_us(self) -> float:
        return await self.redis.zscore(Keys(QUEUE).workers, self.worker.id) or 0.0


@asynccontextmanager
async def a_scene(server: Server, **settings: object) -> AsyncIterator[Scene]:
    gate = Gate(asyncio.Event(), asyncio.Event())
    app = make_app(QUEUE, short_settings(server.url, concurrency=2, lease_s=1.0, renew_s=0.2, **settings), gate)
    await publish(app)
    async with connect(server.url) as redis, serving(app.settings, QUEUE) as service, working(app) as worker:
        yield Scene(app, service, worker, redis, gate)
    await app.close()


@pytest.mark.fault("F31", bound_s=5)
async def test_a_full_memory_refuses_new_jobs_while_those_there_run_to_their_ends(private_server: Server, recovery: Recovery) -> None:
    async with a_scene(private_server) as scene:
        running = [await scene.service.submit("held") for _ in range(2)]
        await scene.gate.started.wait()
        behind = [await scene.service.submit("add", args={"left": number}, id=f"a{number}") for number in range(20)]
        behind += [await scene.service.submit("keyed", args={"tenant": "t"}) for _ in range(5)]
        delayed = await scene.service.submit("add", args={"left": 1}, delay=0.5)
        stopped = await scene.service.submit("scarce", delay=60)
        await scene.redis.config_set("maxmemory", 1)

        refused = [
            await scene.post(task="add", args={"left": 1}),
            await scene.post(task="scarce"),
            await scene.service.http.post("/v1/jobs/batch", json={"jobs": [{"task": "add", "args": {"left": 1}, "id": "b1"}]}),
        ]
        assert {(answer.status_code, answer.json()["type"]) for answer in refused} == {(503, "/problems/overloaded")}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert (await scene.service.http.get("/v1/jobs/b1")).status_code == 404
        assert (await scene.post(task="add", args={"left": 3}, id="a3")).status_code == 200
        assert (await scene.service.http.get("/readyz")).status_code == 200
        async with Client(QUEUE, settings=scene.app.settings) as client:
            with pytest.raises(StoreFull):
                await client.submit("add", {"left": 1})
        assert (await scene.service.http.delete(f"/v1/jobs/{stopped}")).json()["state"] == "cancelled"

        before_us = await scene.lease_us()
        await eventually(lambda: lease_renewed(scene, before_us))
        scene.gate.open.set()
        ends = [await scene.ended(job_id) for job_id in [*running, *behind, delayed]]
        assert {(end["state"], end["attempt"]) for end in ends} == {("succeeded", 1)}

        recovery.begins()
        await scene.redis.config_set("maxmemory", 0)
        job_id = await scene.service.submit("add", args={"left": 41})
        assert (await scene.ended(job_id))["result"] == 42
        recovery.ends()
        accepted = [*running, *behind, delayed, stopped, job_id]
        assert await invariants.violations(scene.redis, QUEUE, accepted, live=[scene.worker.id]) == []


async def lease_renewed(scene: Scene, before_us: float) -> bool:
    """Far enough that a lease not renewed would have lapsed, with time to be taken back."""
    return await scene.lease_us() - before_us > 2_500_000


@pytest.fixture(params=OWN_KINDS)
def server_with_a_limited_disk(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server told of a full disk by an error, where it would otherwise get a signal."""
    server = Server(request.param, appendonly=True)
    ignore = "import os, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    server._command = [sys.executable, "-c", ignore, *server._command]
    with server:
        yield server


@pytest.mark.fault("X02", bound_s=5)
async def test_a_full_disk_is_an_outage_that_loses_nothing(server_with_a_limited_disk: Server, recovery: Recovery) -> None:
    server = server_with_a_limited_disk
    async with a_scene(server) as scene:
        running = await scene.service.submit("held")
        await scene.gate.started.wait()
        behind = [await scene.service.submit("add", args={"left": number}) for number in range(5)]
        store = store_of(scene.app)
        await store.enlist("other", "{}")
        limit_files(server, 1)
        await eventually(lambda: refuses_writes(scene.redis))

        with pytest.raises(StoreUnavailable):
            await store.claim("other", ClaimRequest(1, read_more=True))  # its first write is the reading
        answer = await scene.post(task="add", args={"left": 1})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
        assert "MISCONF" not in answer.text
        assert (await scene.service.http.get(f"/v1/jobs/{running}")).status_code == 200
        scene.gate.open.set()

        limit_files(server, resource.RLIM_INFINITY)
        await eventually(lambda: accepts_writes(scene.redis))
        recovery.begins()
        await store.reconcile("other", (), leave=True)
        ends = [await scene.ended(job_id) for job_id in [running, *behind]]
        recovery.ends()
        assert {(end["state"], end["attempt"]) for end in ends} == {("succeeded", 1)}
        assert await invariants.violations(scene.redis, QUEUE, [running, *behind], live=[scene.worker.id]) == []


def limit_files(server: Server, most_bytes: int) -> None:
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))


async def refuses_writes(redis: Redis) -> bool:
    return not await accepts_writes(redis)


async def accepts_writes(redis: Redis) -> bool:
    try:
        return bool(await redis.set("probe", "1", px=1))
    except ResponseError as error:
        if "MISCONF" not in str(error):
            raise
        return False


async def test_a_full_backlog_is_a_503_until_jobs_have_ended(private_server: Server) -> None:
    async with a_scene(private_server, max_backlog=4) as scene:
        held = [await scene.service.submit("held") for _ in range(2)]
        await scene.gate.started.wait()
        waiting = [await scene.service.submit("add", args={"left": number}, id=f"w{number}") for number in range(2)]

        answers = await asyncio.gather(*(scene.post(task="add", args={"left": number}) for number in range(10)))
        assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {(503, "/problems/overloaded")}
        assert "has 4 jobs that have not ended, and may have 4" in answers[0].json()["detail"]
        assert (await scene.post(task="add", args={"left": 0}, id="w0")).status_code == 200
        batch = {"jobs": [{"task": "add", "args": {"left": 1}} for _ in range(2)]}
        assert (await scene.service.http.post("/v1/jobs/batch", json=batch)).status_code == 503
        with pytest.raises(BacklogFull):
            await scene.app.client.submit("add", {"left": 1}, JobOptions(delay=60))

        scene.gate.open.set()
        for job_id in [*held, *waiting]:
            assert (await scene.ended(job_id))["state"] == "succeeded"
        answers = await asyncio.gather(*(scene.post(task="add", args={"left": number}, delay=60) for number in range(10)))
        assert sorted(answer.status_code for answer in answers) == [202] * 4 + [503] * 6
