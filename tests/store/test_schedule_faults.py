"""Leaders of schedules that die between any two calls, two at a time, and many schedules at once: no instant is made twice, none is unaccounted."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.clock import MICROSECONDS
from runner.errors import StoreUnavailable
from runner.jobs.job import Ending, Outcome
from runner.store.job_store import JobStore
from runner.store.schedules import Fired, Firing
from runner.worker.ticker import Ticker, at_once
from tests.store.builders import START_US, Clock, claim
from tests.store.schedule_builders import counts, made, publish_task, put, stands, tick, ticker

_SCHEDULES: dict[str, dict[str, Any]] = {"latest": {"every": 3}, "all": {"every": 2}, "skip": {"every": 5}, "cron": {"cron": "* * * * *"}}


class Dying(Ticker):
    """A leader that dies before it fires, or whose reply is lost, as chance has it."""

    def __init__(self, store: JobStore, chance: random.Random) -> None:
        super().__init__(store, compute=at_once)
        send = store.fire

        async def fire(firings: list[Firing]) -> list[Fired]:
            fate = chance.random()
            if fate < 0.3:
                raise StoreUnavailable("died before")
            await asyncio.sleep(0)
            fired = await send(firings)
            if fate < 0.6:
                raise StoreUnavailable("died after")
            return fired

        self._store = _Instead(store, fire)  # type: ignore[assignment] # it has all that a ticker asks for


class _Instead:
    def __init__(self, store: JobStore, fire: object) -> None:
        self.due, self.drowse, self.known, self.keys, self.fire = store.due, store.drowse, store.known, store.keys, fire


@pytest.mark.parametrize("seed", range(4))
async def test_whoever_dies_at_whatever_call_each_instant_is_accounted_for_once(store: JobStore, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    await publish_task(store)
    for overlap in ("skip", "queue", "allow"):
        for missed in ("latest", "all", "skip"):
            await put(store, f"{missed}-{overlap}", **_SCHEDULES[missed], missed=missed, overlap=overlap, grace=4)
        await put(store, f"cron-{overlap}", **_SCHEDULES["cron"], overlap=overlap)
    for _ in range(60):
        clock.advance(chance.choice([0.3, 1, 2, 4, 30]))
        leaders = [Dying(store, chance) for _ in range(chance.choice([1, 2, 3]))]
        for answer in await asyncio.gather(*(leader.tick() for leader in leaders), return_exceptions=True):
            assert isinstance(answer, (float, StoreUnavailable)), answer
        if chance.random() < 0.5:
            started = await claim(store, chance.choice([1, 100]))
            await store.finish("w", [Outcome(job, Ending.succeeded, b"1", ttl_ms=10**9) for job in started])
    await tick(store)

    for missed, given in _SCHEDULES.items():
        for overlap in ("skip", "queue", "allow"):
            name = f"{missed}-{overlap}"
            status = await stands(store, name)
            assert status.spec is not None
            instants = 0
            for instant in status.spec.following(status.spec.after(START_US, START_US), START_US):
                if instant > clock.now_us:
                    break
                instants += 1
            assert sum(await counts(store, name)) + (status.queued_at is not None) == instants, (name, given)
            assert len(await made(store, name)) == status.made


@pytest.mark.slow
async def test_ten_thousand_that_are_due_in_one_second_are_made_by_pages(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    start = datetime.fromtimestamp(START_US / MICROSECONDS + 10, UTC)
    for part in range(100):
        await asyncio.gather(*(put(store, f"s{part * 100 + number}", every=3_600, start=start) for number in range(100)))
    clock.advance(10)
    first, second = ticker(store), ticker(store)
    while 0.0 in await asyncio.gather(first.tick(), second.tick()):
        pass
    assert await store.redis.execute_command("XLEN", f"{store.keys.prefix}stream:normal") == 10_000
    assert [await counts(store, name) for name in ("s0", "s9999")] == [(1, 0, 0, 0)] * 2


async def test_a_failover_that_loses_what_a_fire_wrote_but_not_its_jobs_makes_none_twice(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="allow")
    clock.advance(10)
    before = await store.redis.execute_command("ZRANGE", store.keys.schedules_due, 0, -1, "WITHSCORES")
    state = await store.redis.execute_command("DUMP", store.keys.schedule("s"))
    await tick(store)
    await store.redis.execute_command("ZADD", store.keys.schedules_due, before[1], "s")
    await store.redis.execute_command("RESTORE", store.keys.schedule("s"), 0, state, "REPLACE")
    await tick(store)
    assert len(await made(store)) == 1
    assert await store.redis.execute_command("XLEN", f"{store.keys.prefix}stream:normal") == 1
    assert await counts(store) == (1, 0, 0, 0)


async def test_a_clock_that_jumps_an_hour_ahead_and_back_makes_each_instant_once(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=600, overlap="allow", missed="all")
    for seconds in (600, 3_600, -3_600, 600, 600, 3_000):
        clock.advance_us(seconds * MICROSECONDS)
        await tick(store)
    instants = await made(store)
    assert len(instants) == len(set(instants)) == 8, "80 minutes from the start, each of the grid"
    assert await counts(store) == (8, 0, 0, 0)


async def test_a_flush_of_each_key_loses_no_other_schedule(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    for key in (store.keys.schedules, store.keys.schedules_due, store.keys.schedules_dormant, store.keys.schedule("a")):
        for name in ("a", "b"):
            await put(store, name, every=10, overlap="allow")
        await store.redis.execute_command("DEL", key)
        clock.advance(10)
        await tick(store)
        await put(store, "a", every=10, jitter=1, overlap="allow")
        await put(store, "b", every=10, jitter=1, overlap="allow")
        before = (await stands(store, "b")).made
        clock.advance(11)
        await tick(store)
        assert (await stands(store, "b")).made == before + 1
