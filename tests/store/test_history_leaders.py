"""Whoever leads, and at whatever call a leader dies: the history of the queue has every outcome of the run, once."""

import asyncio
import random
from collections import Counter
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.errors import StoreUnavailable
from runner.jobs.job import Ending, Outcome
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, fresh_store, interval, job, make_store, publish

_LETTERS = {"succeeded": "s", "failed": "f", "cancelled": "c", "expired": "x"}
_TASKS = ("charge", "refund", "report|daily")
"""One with a bar in its name, which also divides a field's parts."""


async def outcomes(store: JobStore) -> Counter[str]:
    """What the history of events says of every end."""
    rows = await command(store.redis, "XRANGE", store.keys.history, "-", "+")
    return Counter(dict(zip(flat[::2], flat[1::2], strict=True))[b"state"].decode() for _, flat in rows)


async def sums(store: JobStore, series: str, clock: Clock) -> Counter[str]:
    """Every letter of a series, over all that is kept."""
    hour = clock.now_us // 3_600_000_000
    kept = await store.history([series], hour - 20, hour, by_minute=False)
    total: Counter[str] = Counter()
    for cells in kept.rows[series].values():
        total.update({what: number for what, number in cells.items() if len(what) == 1})
    return total


async def play(store: JobStore, clock: Clock, dice: random.Random, round_: int) -> Counter[str]:
    """Some jobs come and end in every way there is; what the series of the queue must have besides the ends."""
    expected: Counter[str] = Counter()
    submissions = [
        job(f"{round_}-{n}", task=dice.choice(_TASKS), needs=dice.choice([(), ("x",)]), max_wait=dice.choice([0, 0, 2]))
        for n in range(dice.randint(1, 12))
    ]
    await store.submit(submissions)
    expected["u"] += len(submissions)
    await store.cancel(submissions[0].id)
    clock.advance(dice.random() * 5)
    await store.refill()
    started = await claim(store, dice.randint(1, 20))
    if dice.random() < 0.1:
        await crash(store)
        return expected
    endings = [
        dice.choice([Ending.succeeded, Ending.succeeded, Ending.failed, Ending.cancelled, Ending.retry, Ending.returned]) for _ in started
    ]
    sent = [Outcome(one, ending, b"{}", 1_000_000, 60_000) for one, ending in zip(started, endings, strict=True)]
    for _ in range(dice.randint(1, 2)):  # the first answer is lost now and then
        await store.finish("w", sent)
    expected["r"] += endings.count(Ending.retry)
    clock.advance(dice.random() * 40)
    await store.promote()
    await store.expire()
    return expected


@pytest.mark.parametrize("seed", range(3))
async def test_two_leaders_that_die_at_any_call_move_each_outcome_once(redis: Redis, redis_url: str, clock: Clock, seed: int) -> None:
    dice = random.Random(seed)
    async with fresh_store(redis, redis_url, clock, max_crashes=50, failed_ttl_s=86_400) as store:
        queue = store.keys.queue
        await publish(store, interval("x", 3, 3, 1))
        points = ["roll:before=lose@2;roll:after=lose@3", "roll:after=lose@1;roll:before=lose@4"]
        leaders = [make_store(redis_url, queue, clock, failpoints=point) for point in points]
        expected: Counter[str] = Counter()
        for round_ in range(25):
            expected += await play(store, clock, dice, round_)
            if not 8 < round_ < 16:  # for a while nobody leads
                rolls = [leader.roll() for leader in leaders for _ in range(dice.randint(0, 2))]
                for failure in await asyncio.gather(*rolls, return_exceptions=True):
                    assert not isinstance(failure, BaseException) or isinstance(failure, StoreUnavailable)
            if dice.random() < 0.3:  # another process comes in its place, which dies as early
                number = dice.randrange(2)
                await leaders[number].close()
                leaders[number] = make_store(redis_url, queue, clock, failpoints=dice.choice(points))
            ended = await outcomes(store)
            now = await sums(store, "q", clock)
            assert {state: now[letter] for state, letter in _LETTERS.items() if now[letter]} == dict(ended)
            assert {letter: now[letter] for letter in "ur"} == {letter: expected[letter] for letter in "ur"}
        clock.advance(120)
        with suppress(StoreUnavailable):
            while (await store.roll()).more:
                pass
        of_tasks = sum([await sums(store, f"t:{task}", clock) for task in _TASKS], Counter[str]())
        assert of_tasks == await sums(store, "q", clock)
        assert sum((await outcomes(store)).values()) > 50
        for leader in leaders:
            await leader.close()
