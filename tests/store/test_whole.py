"""Everything at once: random histories of the real scripts, with lost replies, lost workers and a restless clock.

In no window does more start than the bound of its limit, and nothing is stranded: with time, every job ends.
"""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, Priority, StartedJob
from runner.limits import TokenBucket
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.starts import Starts
from tests.store.builders import KEPT_MS, Clock, enlist, fresh_store, interval, job, publish, read, succeeded
from tests.store.inside import inconsistencies, pending_count, spoken_for, states, stream_ids, wakes

LIMITS = {
    "x": TokenBucket("x", rate="5/s", burst=3),
    "y": interval("y", capacity=4, refill=3, every=2),
    "t": TokenBucket("t", rate="2/s", burst=2, key="{id}"),
}
NEEDS: list[list[tuple[str, int]]] = [
    [],
    [("x", 1)],
    [("x", 1)],
    [("y", 1)],
    [("x", 2), ("y", 1)],
    [("y", 4)],
    [("t/a", 1), ("x", 1)],
    [("t/b", 2)],
    [("t/b", 1), ("y", 2), ("x", 1)],
]
WORKERS = ["v", "w"]


class History:
    """One run: what is submitted, in hand and started, as producers and workers see it."""

    def __init__(self, store: JobStore, clock: Clock, seed: int) -> None:
        self.store = store
        self.clock = clock
        self.random = Random(seed)
        self.elapsed_us = 0
        self.needs: dict[str, list[tuple[str, int]]] = {}
        self.in_hand: dict[str, list[StartedJob]] = defaultdict(list)
        self.lost: set[str] = set()
        self.starts: dict[str, Starts] = defaultdict(Starts)

    async def submit(self, count: int) -> None:
        batch = []
        for _ in range(count):
            name = f"j{len(self.needs)}"
            self.needs[name] = self.random.choice(NEEDS)
            delay = self.random.choice([0, 0, 0, 0, 0.7])
            batch.append(job(name, needs=self.needs[name], priority=self.random.choice(list(Priority)), delay=delay))
        await self.store.submit(batch)
        assert set(await self.store.submit(batch)) == {"existing"}

    async def claim(self, free: int) -> None:
        worker = self.random.choice(WORKERS)
        await enlist(self.store, worker)
        held = await read(self.store, worker, 1, 0.001) if self.random.random() < 0.3 else []
        alone = not self.in_hand[worker]
        claimed = await self.store.claim(worker, ClaimRequest(free, held, read_more=self.random.random() < 0.8, alone=alone))
        started = claimed.jobs
        assert len(started) <= free
        if self.random.random() < 0.15:
            self.lost.add(worker)  # the reply is lost: nothing of this has begun
            return
        self.in_hand[worker] += started
        for one in started:
            for bucket, cost in self.needs[one.id]:
                self.starts[bucket].add(self.elapsed_us, cost)
        if claimed.suspect:
            self.lost.add(worker)  # it does not wait for its hands to be empty

    async def reconcile(self, _: int = 0) -> None:
        for worker in sorted(self.lost):
            await self.store.reconcile(worker, self.in_hand[worker])
        self.lost.clear()

    async def finish(self, count: int) -> None:
        worker = self.random.choice(WORKERS)
        ended, self.in_hand[worker] = self.in_hand[worker][:count], self.in_hand[worker][count:]
        endings = [self.random.choice([*[Ending.succeeded] * 5, Ending.failed, Ending.retry, Ending.returned]) for _ in ended]
        outcomes = [Outcome(one, ending, b"{}", 300_000, KEPT_MS) for one, ending in zip(ended, endings, strict=True)]
        first = await self.store.finish(worker, outcomes)
        second = await self.store.finish(worker, outcomes)
        assert set(first) <= {"accepted"}
        assert set(second) <= {"repeated", "stale"}

    async def cancel(self, count: int) -> None:
        for name in self.random.sample(sorted(self.needs), min(count // 4, len(self.needs))):
            assert await self.store.cancel(name) != "unknown"

    async def advance(self, amount: int) -> None:
        _, next_us = await self.store.refill()
        await self.move(self.random.choice([amount * 13_777, max(next_us, 0), max(next_us - 1, 0), 2_000_000]))

    async def clock_back(self, amount: int) -> None:
        # What refilled while a claim's reply was under way is known only by the clock, so that is settled first.
        await self.reconcile()
        await self.move(-amount * 1_003)

    async def crash(self, count: int) -> None:
        worker = self.random.choice(WORKERS)
        await command(self.store.redis, "ZADD", self.store.keys.workers, 1, worker)
        late = [succeeded(one) for one in self.in_hand.pop(worker, [])]
        self.lost.discard(worker)
        await self.store.reclaim()
        assert set(await self.store.finish(worker, late)) <= {"stale", "repeated"}

    async def move(self, move_us: int) -> None:
        self.clock.advance_us(move_us)
        self.elapsed_us += max(move_us, 0)
        await self.store.promote()

    async def drain(self) -> None:
        """Two honest workers and enough time: every job must end."""
        await self.reconcile()
        for _ in range(3_000):
            _, next_us = await self.store.refill()
            _, due_us = await self.store.promote()
            for worker in WORKERS:
                await enlist(self.store, worker)
                claimed = await self.store.claim(worker, ClaimRequest(50, read_more=True, alone=True))
                started = claimed.jobs
                if claimed.suspect:
                    await self.store.reconcile(worker, started)
                for one in started:
                    for bucket, cost in self.needs[one.id]:
                        self.starts[bucket].add(self.elapsed_us, cost)
                await self.store.finish(worker, [succeeded(one) for one in started + self.in_hand.pop(worker, [])])
            waits = [wait_us for wait_us in (next_us, due_us) if wait_us >= 0]
            if not waits and not await stream_ids(self.store):
                return
            await self.move(min(waits, default=0))

    async def check_limits(self) -> None:
        for bucket, starts in self.starts.items():
            policy = LIMITS[bucket.partition("/")[0]]
            assert starts.excess(policy) <= 0, f"{bucket}: {starts.excess(policy)} tokens over the bound"

    async def check_end(self) -> None:
        ended = dict(zip(self.needs, await states(self.store, list(self.needs)), strict=True))
        stranded = {name: state for name, state in ended.items() if state not in {"succeeded", "failed", "cancelled"}}
        assert not stranded
        assert await stream_ids(self.store) == []
        assert [await pending_count(self.store, worker) for worker in WORKERS] == [0, 0]
        assert await wakes(self.store) == {}
        assert [await spoken_for(self.store, bucket) for bucket in self.starts] == [(0, 0)] * len(self.starts)


ACTIONS = {
    "submit": 4,
    "claim": 5,
    "finish": 4,
    "advance": 5,
    "reconcile": 1,
    "cancel": 1,
    "clock_back": 1,
    "crash": 1,
}
actions = st.lists(
    st.tuples(st.sampled_from([name for name, weight in ACTIONS.items() for _ in range(weight)]), st.integers(1, 12)),
    min_size=10,
    max_size=60,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=actions, seed=st.integers(0, 2**16))
async def test_random_histories_exceed_no_limit_and_strand_no_job(
    redis: Redis, redis_url: str, steps: Sequence[tuple[str, int]], seed: int
) -> None:
    await play(redis, redis_url, steps, seed)


@pytest.mark.parametrize("seed", range(8))
async def test_long_histories_exceed_no_limit_and_strand_no_job(redis: Redis, redis_url: str, seed: int) -> None:
    random = Random(seed)
    names, weights = list(ACTIONS), list(ACTIONS.values())
    await play(redis, redis_url, [(random.choices(names, weights)[0], random.randint(1, 12)) for _ in range(250)], seed)


async def play(redis: Redis, redis_url: str, steps: Sequence[tuple[str, int]], seed: int) -> None:
    clock = Clock()
    # A small window, so that it is often full; many crashes, as a history can crash a job's worker any number of times.
    async with fresh_store(redis, redis_url, clock, window=3, max_crashes=4) as store:
        await publish(store, *LIMITS.values())
        history = History(store, clock, seed)
        for name, amount in steps:
            await getattr(history, name)(amount)
            assert await inconsistencies(store) == []
        await history.check_limits()
        await history.drain()
        await history.check_limits()
        await history.check_end()


def test_the_log_of_starts_finds_one_start_too_many() -> None:
    starts = Starts()
    for at_us in (0, 0, 0, 200_000):
        starts.add(at_us)
    assert starts.excess(LIMITS["x"]) == 0

    starts.add(400_000 - 1)

    assert starts.excess(LIMITS["x"]) == 1
