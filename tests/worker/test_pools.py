"""Pools with real workers: one limit over all of them, of which none keeps a token from the others."""

import asyncio
import logging
from collections import Counter

import pytest
from redis.asyncio import Redis

from runner import Runner, TokenBucket
from runner.clock import monotonic_s
from tests.eventually import eventually
from tests.invariants import violations
from tests.worker.conftest import Crew, MakeApp

API = TokenBucket("api", rate="10/s", burst=1)


class Media:
    """One version of an app with tasks in three pools, and apps of workers that read some of them. `gate`: what a gpu job waits for."""

    def __init__(self, make_app: MakeApp) -> None:
        self._make_app = make_app
        self.ran: Counter[str] = Counter()
        self.order: list[str] = []
        self.gate = asyncio.Event()
        self.app = self.reading("default")

    def reading(self, pools: str, **settings: object) -> Runner:
        app = self._make_app(pools=pools, **settings)

        @app.task(limits=[API])
        async def notify(name: str) -> None:
            self._note(name)

        @app.task(pool="gpu", limits=[API])
        async def render(name: str) -> None:
            self._note(name)
            await self.gate.wait()

        @app.task(pool="tpu", limits=[API])
        async def train(name: str) -> None:
            self._note(name)

        self.notify, self.render, self.train = notify, render, train
        return app

    def _note(self, name: str) -> None:
        self.ran[name] += 1
        self.order.append(name[0])

    async def submit(self, **counts: int) -> list[str]:
        tasks = {"n": self.notify, "r": self.render, "t": self.train}
        jobs = [tasks[kind].with_options(id=f"{kind}{n}").prepare(f"{kind}{n}") for kind, count in counts.items() for n in range(count)]
        await self.app.submit_many(jobs)
        return [job.id for job in jobs]


@pytest.fixture
def media(make_app: MakeApp) -> Media:
    return Media(make_app)


async def test_a_saturated_and_an_absent_pool_keep_no_token_from_a_busy_one(media: Media, crew: Crew, redis: Redis, queue: str) -> None:
    gpu = media.reading("gpu", concurrency=1)
    await crew.start(media.app)
    await crew.start(gpu)
    ids = await media.submit(r=10, t=10, n=40)
    began_s = monotonic_s()

    await eventually(lambda: media.order.count("n") == 40, 30)

    took_s = monotonic_s() - began_s
    assert media.order.count("r") == 1
    assert took_s < 8, f"40 jobs at 10 a second took {took_s:.1f} s beside a saturated pool and an absent one"
    statuses = {one.id: one for one in await media.app.client.statuses(ids) if one is not None}
    waiting = [one for one in statuses.values() if one.task == "render" and one.state == "waiting"]
    assert waiting
    assert {one.reason for one in waiting} <= {"slots", "tokens"}
    assert {one.reason for one in statuses.values() if one.task == "train"} <= {"no worker"}

    media.gate.set()
    tpu = await crew.start(media.reading("tpu,gpu"))
    await eventually(lambda: len(media.order) == 60, 30)
    assert set(media.ran.values()) == {1}
    await crew.stop(tpu)

    async def are_ended() -> bool:
        return all(one is not None and one.state == "succeeded" for one in await media.app.client.statuses(ids))

    await eventually(are_ended)
    assert await violations(redis, queue, ids, limits=[API], runs=media.ran, live=crew.ids) == []


async def test_two_pools_share_a_limit_fairly(media: Media, crew: Crew) -> None:
    media.gate.set()
    await crew.start(media.app)
    await crew.start(media.reading("gpu"))
    await media.submit(r=20, n=20)

    await eventually(lambda: len(media.order) >= 30, 30)

    assert 11 <= media.order[:30].count("r") <= 19


async def test_a_worker_of_several_pools_runs_jobs_of_all(media: Media, crew: Crew) -> None:
    media.gate.set()
    await crew.start(media.reading("gpu,default,tpu"))
    await media.submit(r=4, n=4, t=4)

    await eventually(lambda: len(media.order) == 12, 30)


async def test_a_worker_warns_of_a_pool_of_its_app_that_nobody_reads(media: Media, crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "runner")
    await crew.start(media.reading("gpu"))
    caplog.clear()
    await crew.start(media.app)

    assert [text for record in caplog.records if "pool" in (text := record.getMessage())] == [
        "no live worker reads pool tpu yet: jobs of train wait until one does, started with --pool tpu"
    ]
