"""Redis away: killed, frozen, or not there yet. Every answer is a 503 within two seconds, and all is well again by itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import httpx
import pytest

from runner import Runner, load_settings
from tests.app_internals import publish, store_of
from tests.eventually import eventually
from tests.http.conftest import Gate, Service, make_app, serving, working
from tests.pace import Pace
from tests.recovery import Recovery
from tests.servers import Server

LIMIT_S = 2.0
REQUESTS = [
    ("POST", "/v1/jobs", {"task": "add", "args": {"left": 1}}),
    ("POST", "/v1/jobs/batch", {"jobs": [{"task": "add", "args": {"left": 1}}]}),
    ("GET", "/v1/jobs/first", None),
    ("GET", "/v1/jobs/first?wait=20", None),
    ("DELETE", "/v1/jobs/first", None),
    ("GET", "/v1/tasks", None),
    ("GET", "/v1/limits", None),
    ("GET", "/v1/workers", None),
    ("GET", "/v1/server", None),
    ("GET", "/readyz", None),
]


@pytest.fixture
async def away(private_server: Server, gate: Gate) -> AsyncIterator[Runner]:
    """An app on a server that may be killed."""
    app = make_app("away", load_settings(redis_url=private_server.url), gate)
    await publish(app)
    yield app
    await app.close()


async def ask(service: Service, pace: Pace, method: str, path: str, body: object) -> tuple[httpx.Response, float]:
    started_s = pace.now_s
    return await service.http.request(method, path, json=body), pace.now_s - started_s


async def check_all_are_refused(service: Service, pace: Pace) -> None:
    answers = await asyncio.gather(*(ask(service, pace, *request) for request in REQUESTS))
    for answer, took_s in answers:
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (503, "/problems/store-unavailable"), answer.url
        assert int(answer.headers["retry-after"]) >= 1
        assert took_s < LIMIT_S, answer.url
        assert not any(word in problem["detail"] for word in (".sock", "Errno", "Timeout", "unix"))
    assert (await service.http.get("/healthz")).status_code == 200


async def ready(service: Service) -> bool:
    return (await service.http.get("/readyz")).status_code == 200


async def test_a_killed_redis_is_a_503_until_it_is_back(private_server: Server, away: Runner, pace: Pace) -> None:
    async with serving(away.settings, away.queue) as service:
        await service.submit("add", args={"left": 1}, id="first")
        private_server.kill()
        await check_all_are_refused(service, pace)
        private_server.start()
        await eventually(lambda: ready(service))
        async with working(away):
            assert (await service.http.get("/v1/jobs/first", params={"wait": 10})).json()["result"] == 2
            job_id = await service.submit("add", args={"left": 5})
            assert (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()["result"] == 6


async def test_a_frozen_redis_is_a_503_within_the_time(private_server: Server, away: Runner, pace: Pace) -> None:
    async with serving(away.settings, away.queue) as service:
        await service.submit("add", args={"left": 1}, id="first")
        os.kill(private_server.pid, signal.SIGSTOP)
        try:
            await check_all_are_refused(service, pace)
        finally:
            os.kill(private_server.pid, signal.SIGCONT)
        await eventually(lambda: ready(service))


@pytest.mark.fault("F38", bound_s=10)
async def test_a_primary_that_may_not_write_alone_is_a_503_for_what_writes(
    private_server: Server, away: Runner, recovery: Recovery, pace: Pace
) -> None:
    async with serving(away.settings, away.queue) as service, working(away):
        await service.submit("add", args={"left": 1}, id="first")
        assert (await service.http.get("/v1/jobs/first", params={"wait": 10})).json()["state"] == "succeeded"
        private_server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
        for request in REQUESTS[:2]:
            answer, took_s = await ask(service, pace, *request)
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert took_s < LIMIT_S
            assert "NOREPLICAS" not in answer.text
        assert (await service.http.get("/v1/jobs/first")).json()["result"] == 2

        recovery.begins()
        private_server.ask("CONFIG", "SET", "min-replicas-to-write", "0")
        job_id = await service.submit("add", args={"left": 5})
        assert (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()["result"] == 6
        recovery.ends()


async def test_the_service_starts_without_redis_and_waits_for_it(private_server: Server, away: Runner, pace: Pace) -> None:
    private_server.kill()
    async with serving(away.settings, away.queue) as service:
        await check_all_are_refused(service, pace)
        private_server.start()
        await eventually(lambda: ready(service))
        await service.submit("add", args={"left": 1})


async def test_a_wait_under_way_rides_out_an_outage_and_is_told_of_one_that_lasts(private_server: Server, away: Runner, pace: Pace) -> None:
    async with serving(away.settings, away.queue) as service:
        job_id = await service.submit("held")
        long, short = (asyncio.create_task(service.http.get(f"/v1/jobs/{job_id}", params={"wait": wait})) for wait in (30, 2))
        await eventually(lambda: watched(away, job_id))
        private_server.kill()
        killed_s = pace.now_s
        assert (await short).status_code == 503
        assert pace.now_s - killed_s < 2 + LIMIT_S
        private_server.start()
        await eventually(lambda: is_up(service))
        assert (await service.http.delete(f"/v1/jobs/{job_id}")).status_code == 200
        answer = await long
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


async def is_up(service: Service) -> bool:
    return (await service.http.get("/readyz")).status_code == 200


async def watched(app: Runner, job_id: str) -> bool:
    """Whether somebody waits for this job's end."""
    return bool(await store_of(app).redis.hexists(store_of(app).keys.job(job_id), "watched"))
