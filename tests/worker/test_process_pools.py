"""Jobs that wait for a child: in their order, without tokens and slots, and without a call; others pass them."""

import asyncio

import pytest
from redis.asyncio import Redis

from runner import ConfigurationError, JobHandle, Runner, load_settings
from runner.clock import monotonic_s
from runner.connection.client import command
from runner.jobs import JobFilter
from runner.store.keys import Keys
from runner.store.published import entry_of, spec_words
from tests.eventually import PATIENCE_S, eventually
from tests.worker.conftest import Crew, MakeApp
from tests.worker.heavy import Heavy, Serve

SHARED = """
import os, time
from pathlib import Path
from runner import Children, Runner, TokenBucket, current_job
API = TokenBucket("api", rate={rate!r}, burst={burst})
jobs = Runner({queue!r}, children=Children({children}))

def note(word: str) -> None:
    with Path(__file__).with_suffix(".order").open("a") as order:
        order.write(word + "\\n")

@jobs.task(executor="process", limits=[API])
def work(name: str) -> None:
    note(name)
    while name == "first" and not Path(__file__).with_suffix(".open").exists():
        time.sleep(0.01)

@jobs.task(limits=[API])
async def notify(name: str) -> None:
    note(name)
"""


def order(app: Heavy) -> list[str]:
    noted = app.file.with_suffix(".order")
    return noted.read_text().split() if noted.exists() else []


async def test_others_are_not_delayed_by_them_however_few_slots_there_are(heavy: Serve, redis: Redis, queue: str) -> None:
    async with heavy("size=2", concurrency=1) as app:
        waiting = [await app.runner.tasks["work"].submit(how="gate") for _ in range(8)]
        await eventually(lambda: len(app.pids) == 2)

        for _ in range(20):
            assert (await app.ended("quick")).state == "succeeded"

        assert len(app.pids) == 2
        assert await command(redis, "ZCARD", Keys(queue).holders("slots")) == 2
        assert sum([(await one.status()).state in ("queued", "waiting") for one in waiting]) == 6
        app.open_gate()
        assert [(await one.wait(PATIENCE_S)).state for one in waiting] == ["succeeded"] * 8


async def test_behind_a_limit_they_start_in_their_order_though_a_child_was_taken_meanwhile(heavy: Serve) -> None:
    async with heavy("size=1", source=SHARED, rate="50/s", burst=1) as app:
        jobs = [await app.runner.tasks["work"].submit(name) for name in ("first", *(f"p{n}" for n in range(30)))]
        await eventually(lambda: order(app) == ["first"])
        await asyncio.sleep(0.3)
        app.open_gate()

        for one in jobs:
            assert (await one.wait(PATIENCE_S)).state == "succeeded"
        assert order(app) == ["first", *(f"p{n}" for n in range(30))]


async def test_a_saturated_child_keeps_no_token_from_others(heavy: Serve) -> None:
    async with heavy("size=1", source=SHARED, rate="20/m", burst=20) as app:
        jobs = [await app.runner.tasks["work"].submit(name) for name in ("first", *(f"p{n}" for n in range(25)))]
        await eventually(lambda: order(app) == ["first"])
        await asyncio.sleep(0.15)

        for n in range(19):
            await (await app.runner.tasks["notify"].submit(f"a{n}")).result(timeout=PATIENCE_S)

        assert order(app) == ["first", *(f"a{n}" for n in range(19))]
        assert {(await one.status()).state for one in jobs[1:]} <= {"queued", "waiting"}
        for one in jobs[1:]:
            await one.cancel()
        app.open_gate()
        await jobs[0].wait(PATIENCE_S)


async def test_what_waits_for_a_child_is_not_moved_and_asks_nothing_of_redis(heavy: Serve, redis: Redis) -> None:
    async def calls(of: str) -> int:
        stats = await redis.info("commandstats")
        return int(stats.get(f"cmdstat_{of}", {"calls": 0})["calls"])

    async with heavy("size=1") as app:
        jobs = [await app.runner.tasks["work"].submit(how="gate") for _ in range(50)]
        await eventually(lambda: len(app.pids) == 1)
        moved, asked, began_s = await calls("xadd"), await calls("evalsha"), monotonic_s()

        await asyncio.sleep(2)

        took_s = monotonic_s() - began_s
        assert await calls("xadd") - moved == 0, "jobs were moved although no child was free"
        assert await calls("evalsha") - asked < 15 * took_s, "an idle worker asks less"
        app.open_gate()
        assert [(await one.wait(PATIENCE_S)).state for one in jobs] == ["succeeded"] * 50


async def test_a_worker_without_such_tasks_leaves_them_to_others(heavy: Serve, crew: Crew, make_app: MakeApp) -> None:
    plain = make_app()

    @plain.task
    async def elsewhere() -> str:
        return "here"

    await crew.start(plain)
    async with heavy() as app:  # published by now
        pass
    job: JobHandle[object] = await plain.client.submit("work", {})
    assert await (await elsewhere.submit()).result(timeout=PATIENCE_S) == "here"
    status = await job.status()
    assert (status.state, status.pool, status.attempt) == ("queued", "default.process", 0)

    async with heavy() as app:
        assert (await job.wait(PATIENCE_S)).state == "succeeded"
        assert len(app.pids) == 1


async def test_a_pool_of_its_own_and_processes_go_together(heavy: Serve) -> None:
    source = SHARED.replace('executor="process"', 'executor="process", pool="gpu"')
    async with heavy(source=source, rate="99/s", burst=99) as app:  # this worker reads the default pool
        job = await app.runner.tasks["work"].submit("p")
        here = await app.runner.tasks["work"].with_options(pool="default").submit("here")
        named = await app.runner.tasks["work"].with_options(pool="default.process").submit("named")

        assert (await here.wait(PATIENCE_S)).pool == (await named.wait(PATIENCE_S)).pool == "default.process"
        status = await job.status()
        assert (status.state, status.reason, status.pool) == ("queued", "no worker", "gpu.process")
        with pytest.raises(
            ValueError, match=r"pool 'gpu\.process' is where jobs of pool 'gpu' wait that run in child processes: name 'gpu'"
        ):
            await app.runner.tasks["notify"].with_options(pool="gpu.process").submit("no")


async def test_a_pause_and_a_list_name_a_pool_of_processes_too(heavy: Serve) -> None:
    async with heavy() as app:
        await app.runner.client.pauses.pause("pool", "default.process", "a test")
        job = await app.runner.tasks["work"].submit()

        assert (await app.ended("quick")).state == "succeeded"
        assert [one.id for one in (await app.runner.client.jobs(JobFilter(pool="default.process"))).jobs] == [job.id]
        assert (await job.status()).state == "waiting"
        await app.runner.client.pauses.resume("pool", "default.process")
        assert (await job.wait(PATIENCE_S)).state == "succeeded"


async def test_pools_tell_how_many_children_there_are(heavy: Serve) -> None:
    async with heavy("size=3", concurrency=7) as app:
        by_name = {pool.name: pool for pool in await app.runner.client.pools()}
        (worker,) = await app.runner.client.workers()

        assert (by_name["default"].slots, by_name["default.process"].slots) == (7, 3)
        assert (worker.slots, worker.children, worker.pools) == (7, 3, ("default", "default.process"))


def test_no_worker_and_no_task_can_name_a_pool_of_processes() -> None:
    with pytest.raises(ConfigurationError, match="name 'gpu'"):
        load_settings(pools="gpu.process")
    with pytest.raises(ConfigurationError, match=r"task '\w+': pool 'gpu\.process' is where jobs of pool 'gpu' wait .*: name 'gpu'"):

        @Runner("q").task(pool="gpu.process")
        async def work() -> None: ...


@pytest.mark.parametrize(("pool", "least"), [("default", 0), ("gpu", 3)])
def test_producers_that_know_of_no_pools_are_refused_by_name_only_what_no_worker_would_move(pool: str, least: int) -> None:
    @Runner("q").task(executor="process", pool=pool)
    def work() -> None: ...

    name, limits, text = spec_words("work", work.definition.spec.to_json())
    entry = entry_of(f"0 worker 1 {limits!s}\n{text!s}".encode())

    assert name == "work"
    assert entry is not None
    assert entry.least_format == least
