"""Pauses while several workers are busy, replies are lost and workers are cut off: nothing starts in one, and nothing is lost by it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import PauseStatus, Runner, TokenBucket
from runner.clock import MICROSECONDS
from runner.jobs import Pausable, Priority
from runner.store import scripts
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.eventually import eventually
from tests.history import Start, starts_of
from tests.proxy import Proxy
from tests.worker.conftest import Crew, MakeApp

LIMIT = TokenBucket("paced", rate="200/s", burst=20, key="{tenant}")
WHAT = [(Pausable.queue, ""), (Pausable.task, "free"), (Pausable.task, "metered"), (Pausable.key, "paced/a")]


class Load:
    """Jobs of two tasks that come all the time; `runs` counts the handlers by job id."""

    def __init__(self, behind: Runner, direct: Runner) -> None:
        self.direct = direct
        self.runs: Counter[str] = Counter()
        self.ids: dict[str, tuple[str, str]] = {}
        """The task of each, and its bucket."""

        async def work(name: str, tenant: str = "") -> None:
            self.runs[name] += 1
            await asyncio.sleep(0.001)

        for app in {behind, direct}:
            self.free = app.task(name="free")(work)
            self.metered = app.task(name="metered", limits=[LIMIT])(work)

    async def submit(self, count: int = 4) -> None:
        jobs = []
        for number in range(3 * count):
            name, kind = f"j{len(self.ids)}", number % 3
            task, tenant = (self.free, "") if kind == 0 else (self.metered, "ab"[kind - 1])
            self.ids[name] = ("free" if kind == 0 else "metered", f"paced/{tenant}" if tenant else "")
            jobs.append(task.with_options(id=name).prepare(name, tenant=tenant))
        await self.direct.submit_many(jobs)

    def is_of(self, name: str, pause: PauseStatus) -> bool:
        task, bucket = self.ids[name]
        return pause.what is Pausable.queue or pause.name in (task, bucket)

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        async def come() -> None:
            while True:
                await self.submit()
                await asyncio.sleep(0.01)

        task = asyncio.create_task(come())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def clock_us(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * MICROSECONDS + int(micros)


@pytest.fixture
async def proxy(redis: Redis, direct_url: str) -> AsyncIterator[Proxy]:
    for name in scripts.script_names():
        await redis.script_load(scripts.load(name).source)
    async with Proxy(direct_url) as proxy:
        yield proxy


@pytest.fixture
async def load(make_app: MakeApp, proxy: Proxy, redis: Redis, queue: str) -> AsyncIterator[tuple[Load, Runner]]:
    behind = make_app(redis_url=proxy.url, command_timeout_s=0.5, lease_s=2.0, renew_s=0.4, concurrency=8, record_starts=True)
    yield Load(behind, make_app(record_starts=True)), behind
    await redis.delete(Keys(queue).starts)


LOST = [None, "claim", "XREADGROUP", "refill", "finish", "reconcile"]


@pytest.mark.parametrize("lost", LOST)
async def test_nothing_starts_in_a_pause_whatever_workers_do_and_all_of_it_starts_afterwards(
    load: tuple[Load, Runner], proxy: Proxy, redis: Redis, queue: str, crew: Crew, lost: str | None
) -> None:
    jobs, behind = load
    client = jobs.direct.client
    for app in (behind, behind, jobs.direct):
        await crew.start(app)
    pauses: list[tuple[PauseStatus, int]] = []
    async with jobs.coming():
        for what, name in WHAT:
            before = jobs.runs.total()
            await eventually(lambda: jobs.runs.total() > before + 30)  # noqa: B023 - awaited at once
            if lost is not None:
                proxy.lose_reply_of(lost if lost.isupper() else "EVALSHA", *([] if lost.isupper() else [scripts.load(lost).sha]))
            paused = await client.pauses.pause(what.value, name, "repair")
            held = len(jobs.ids)
            await eventually(lambda: len(jobs.ids) > held + 60)  # noqa: B023
            pauses.append((paused, await clock_us(redis)))
            assert await client.pauses.resume(what.value, name) == paused
    started = await starts_of(redis, queue)
    for paused, until_us in pauses:
        assert during(started, jobs, paused, until_us) == [], f"started while {paused.target} was paused"
    assert any(paused.since_at * MICROSECONDS < one.at_us < until_us for one in started for paused, until_us in pauses[1:]), "others go on"
    await eventually(lambda: all_ended(redis, queue, jobs))
    wrong = await invariants.violations(redis, queue, list(jobs.ids), limits=[LIMIT], runs=jobs.runs, live=crew.ids)
    assert wrong == []


def during(started: list[Start], jobs: Load, paused: PauseStatus, until_us: int) -> list[Start]:
    """What started of that after the pause had answered, and before it was resumed."""
    since_us = round(paused.since_at * MICROSECONDS)
    return [one for one in started if since_us < one.at_us < until_us and jobs.is_of(one.job, paused)]


async def all_ended(redis: Redis, queue: str, jobs: Load) -> bool:
    return await invariants.unfinished(redis, queue, jobs.ids) == []


async def test_a_worker_that_is_cut_off_in_a_pause_loses_what_it_had_read_to_others(
    load: tuple[Load, Runner], proxy: Proxy, redis: Redis, queue: str, crew: Crew
) -> None:
    jobs, behind = load
    client = jobs.direct.client
    cut_off, other = await crew.start(behind), await crew.start(jobs.direct)
    lapsing = cut_off.id
    await client.pauses.pause("queue")
    await jobs.submit()
    proxy.black_hole()
    await eventually(lambda: is_gone(redis, queue, lapsing))
    assert jobs.runs.total() == 0
    await client.pauses.resume("queue")
    await eventually(lambda: all_ended(redis, queue, jobs))
    assert set(jobs.runs.values()) == {1}
    assert other.id in crew.ids
    proxy.heal()
    await eventually(lambda: cut_off.id != lapsing)


async def is_gone(redis: Redis, queue: str, worker: str) -> bool:
    return await redis.zscore(Keys(queue).workers, worker) is None


async def test_what_a_worker_had_read_when_the_queue_was_paused_stays_with_it_and_starts_first(
    make_app: MakeApp, crew: Crew, redis: Redis, queue: str
) -> None:
    app = make_app(lease_s=1.0, renew_s=0.2, concurrency=1)
    order: list[str] = []

    @app.task
    async def note(name: str) -> None:
        order.append(name)

    worker = await crew.start(app)
    await app.client.pauses.pause("queue")
    await note.submit("first")
    (entry,) = await eventually(lambda: pending(redis, queue))
    await note.submit("second")
    claims = (await redis.info("commandstats"))["cmdstat_hlen"]["calls"]
    await eventually(lambda: has_asked(redis, claims + 8))  # for some leases
    assert await pending(redis, queue) == [entry]
    await app.client.pauses.resume("queue")
    await eventually(lambda: order == ["first", "second"])
    assert worker.id


async def pending(redis: Redis, queue: str) -> list[Any]:
    return [row["message_id"] for row in await redis.xpending_range(Keys(queue).stream(Priority.normal), GROUP, "-", "+", 10)]


async def has_asked(redis: Redis, calls: int) -> bool:
    return int((await redis.info("commandstats"))["cmdstat_hlen"]["calls"]) >= calls


async def test_workers_of_a_paused_queue_read_nothing_and_go_on_at_once(make_app: MakeApp, crew: Crew, redis: Redis) -> None:
    app = make_app(block_s=30.0, command_timeout_s=5.0)
    jobs = Load(app, app)
    worker = await crew.start(app)
    await app.client.pauses.pause("queue")
    await jobs.submit(1)
    for _ in range(20):
        await asyncio.sleep(0)
    calls = (await redis.info("commandstats"))["cmdstat_xreadgroup"]["calls"]
    await jobs.submit(1)
    assert jobs.runs.total() == 0
    await eventually(lambda: is_waiting(redis))
    assert (await redis.info("commandstats"))["cmdstat_xreadgroup"]["calls"] <= calls + 3
    loop = asyncio.get_running_loop()
    resumed_s = loop.time()
    await app.client.pauses.resume("queue")
    await eventually(lambda: jobs.runs.total() == 6)
    assert loop.time() - resumed_s < 25, "it did not wait for its read to end"
    assert worker.id


async def is_waiting(redis: Redis) -> bool:
    return "cmdstat_xread" in await redis.info("commandstats")
