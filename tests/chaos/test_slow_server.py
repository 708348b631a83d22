"""A server that does not answer for three seconds, in three ways: no job runs twice, and callers are told in time."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from redis.asyncio import Redis

from runner import Runner
from runner.connection.client import command
from tests import invariants
from tests.app_internals import publish
from tests.conftest import OWN_KINDS, connect
from tests.eventually import eventually
from tests.http.conftest import Service, serving, working
from tests.pace import Pace
from tests.recovery import Recovery
from tests.servers import REDIS62, Server
from tests.worker.conftest import short_settings

SLOW_S = 3.0
ANSWER_S = 2.5
"""The service's own bound is 2 s; the rest is for what it does before and after the wait."""
CALLERS = 5


async def sleep(redis: Redis) -> None:
    await command(redis, "DEBUG", "SLEEP", SLOW_S)


async def pause(redis: Redis) -> None:
    await command(redis, "CLIENT", "PAUSE", round(SLOW_S * 1000), "WRITE")
    await asyncio.sleep(SLOW_S)


async def busy(redis: Redis) -> None:
    """A script of somebody else that does not end: the others are answered BUSY."""
    # Its name until Redis 7, known ever since.
    await command(redis, "CONFIG", "SET", "lua-time-limit", 100)
    script = f"local began = redis.call('TIME')[1] repeat until redis.call('TIME')[1] - began > {SLOW_S}"
    await command(redis, "EVAL", script, 0)


@pytest.fixture(params=OWN_KINDS)
def slow_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, options={} if request.param == REDIS62 else {"enable-debug-command": "local"}) as server:
        yield server


class Callers:
    """They submit all the time, each job until it is accepted, under its id."""

    def __init__(self, service: Service, pace: Pace) -> None:
        self._service, self._pace = service, pace
        self._over = False
        self.accepted: list[str] = []
        self.refused = 0
        self.slowest_s = 0.0

    async def run(self, number: int) -> None:
        count = 0
        while not self._over:
            await self._submit(f"c{number}-{count}")
            count += 1

    async def _submit(self, job_id: str) -> None:
        while True:
            began_s = self._pace.now_s
            answer = await self._service.http.post("/v1/jobs", json={"task": "note", "args": {"name": job_id}, "id": job_id})
            self.slowest_s = max(self.slowest_s, self._pace.now_s - began_s)
            if answer.status_code in (200, 202):
                self.accepted.append(job_id)
                return
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable"), answer.text
            assert int(answer.headers["retry-after"]) >= 1
            self.refused += 1
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        self._over = True


@pytest.mark.fault("F41", bound_s=5)
@pytest.mark.parametrize("fault", [sleep, pause, busy])
async def test_no_time_out_makes_a_job_twice(
    slow_server: Server, recovery: Recovery, pace: Pace, fault: Callable[[Redis], Awaitable[None]]
) -> None:
    app, runs = Runner("slow", settings=short_settings(slow_server.url)), Counter[str]()

    @app.task
    async def note(name: str) -> None:
        runs[name] += 1

    await publish(app)
    async with connect(slow_server.url) as redis, serving(app.settings, "slow") as service, working(app) as worker:
        callers = Callers(service, pace)
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(callers.run(number))
            await eventually(lambda: len(callers.accepted) > 20)
            await fault(redis)
            recovery.begins()
            accepted = len(callers.accepted)
            await eventually(lambda: len(callers.accepted) > accepted + 20 and sum(runs.values()) >= accepted + 20)
            recovery.ends()
            callers.stop()
        assert callers.refused > 0
        assert callers.slowest_s < ANSWER_S

        async def all_is_well() -> bool:
            return not await invariants.violations(redis, "slow", callers.accepted, live=[worker.id])

        await eventually(all_is_well)
        assert runs == dict.fromkeys(callers.accepted, 1)
        health = await service.http.get("/readyz")
        assert health.status_code == httpx.codes.OK
    await app.close()
