"""Replaced jobs at random: what is set aside for jobs on the streams is what those jobs need, no more is promised than they ask, and no limit is exceeded."""

import random

import pytest

from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, finish_all, ids, interval, publish, replacing
from tests.store.inside import spoken_for, stream_ids

BUCKETS = ("x", "y")
CAPACITY = 3
STEPS = 120


async def on_streams(store: JobStore) -> dict[str, dict[str, int]]:
    """The jobs on the streams that no worker has started, and what each needs."""
    found = {}
    for job_id in await stream_ids(store):
        state, limits = await store.redis.execute_command("HMGET", store.keys.job(job_id), "state", "limits")
        if state == b"queued":
            pairs = [need.split("=") for need in (limits or b"").decode().split(";") if need]
            found[job_id] = {bucket: int(tokens) for bucket, tokens in pairs}
    return found


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_promised_to_replaced_jobs_is_what_they_need_and_no_limit_is_exceeded(
    store: JobStore, clock: Clock, seed: int
) -> None:
    dice = random.Random(seed)
    await publish(store, *(interval(bucket, capacity=CAPACITY) for bucket in BUCKETS))
    spent = dict.fromkeys(BUCKETS, 0)
    needed: dict[str, list[tuple[str, int]]] = {}
    most_promised = 0
    for step in range(STEPS):
        for number in range(dice.randint(1, 4)):
            needs = [(bucket, dice.randint(1, CAPACITY)) for bucket in BUCKETS if dice.random() < 0.6]
            job_id = f"j{step}-{number}"
            (answer,) = await store.submit([replacing(job_id, f"work/{dice.randrange(8)}", needs=needs)])
            needed[getattr(answer, "id", job_id)] = needs
        ready = await on_streams(store)
        for bucket in BUCKETS:
            costs = [needs[bucket] for needs in ready.values() if bucket in needs]
            assert await spoken_for(store, bucket) == (sum(costs), len(costs)), "it is the sum of what each needs now, once"
            most_promised = max(most_promised, sum(costs))
        if dice.random() < 0.7:
            started = await claim(store, free=dice.randint(1, 4))
            for job_id in ids(started):
                for bucket, tokens in needed[job_id]:
                    spent[bucket] += tokens
            await finish_all(store, started)
        for bucket in BUCKETS:
            assert spent[bucket] <= CAPACITY + (clock.now_us - START_US) // 1_000_000
        clock.advance(dice.choice([0, 0.2, 1]))
        await store.refill()
    while started := await claim(store, free=20):
        await finish_all(store, started)
    assert [await spoken_for(store, bucket) for bucket in BUCKETS] == [(0, 0), (0, 0)], "each promise ends with its claim"
    assert CAPACITY < most_promised <= 8 * CAPACITY, "eight marks, of which each has one job at most that waits"
