"""All kinds of limits side by side, in random histories that find their own way: no limit is exceeded, no token lies idle, nothing leaks."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, Priority, StartedJob
from runner.limits import Concurrency, Limit, Need, Quota, SlidingWindow, TokenBucket
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.conftest import connect
from tests.leftovers import immortal_keys, keys_of
from tests.store.builders import Clock, interval, job, make_store, read, slot
from tests.store.inside import all_keys, inconsistencies, scores, states, stream_ids
from tests.store.machine import Ledger, Taken
from tests.topologies import queue_name

S = 1_000_000
LIMITS: dict[str, list[Limit]] = {
    "b": [TokenBucket("b", rate="5/s", burst=4), TokenBucket("b", rate="2/s", burst=6), interval("b", capacity=3, refill=2, every=1.5)],
    "w": [SlidingWindow("w", 4, per=2), SlidingWindow("w", 2, per=1), SlidingWindow("w", 5, per=3.5)],
    "c": [Concurrency("c", 3), Concurrency("c", 1), Concurrency("c", 5)],
    "q": [Quota("q", 9, per="day", tz="Europe/Berlin"), Quota("q", 5, per="day", tz="Europe/Berlin")],
    "k": [TokenBucket("k", rate="1/s", burst=2, key="{id}"), interval("k", capacity=3, refill=3, every=4, key="{id}")],
}
NEEDS: list[list[Need]] = [
    [Need("b", 1)],
    [Need("w", 1)],
    [slot("c")],
    [Need("q", 1)],
    [Need("b", 3)],
    [Need("w", 2)],
    [slot("c", 2)],
    [Need("b", 1), slot("c")],
    [Need("b", 1), Need("w", 1)],
    [slot("c"), Need("k/m", 1), Need("w", 2)],
    [Need("k/m", 1)],
    [Need("k/n", 2), Need("q", 1)],
]
WORKERS = ["v", "w"]
ENDED = {"succeeded", "failed", "cancelled", "expired"}


class World(RuleBasedStateMachine):
    """Producers, workers, operators and faults, as they act upon one queue."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.needs: dict[str, list[Need]] = {}
        self.in_hand: dict[str, dict[str, StartedJob]] = defaultdict(dict)
        self.lost: set[str] = set()
        self.books: dict[str, Ledger] = {}
        self.ended: set[str] = set()
        self.force: dict[str, Limit] = {}
        self.code: dict[str, Limit] = {}
        self.until_us: dict[str, int] = {}
        self.frozen_us: dict[str, int] = defaultdict(int)
        self.paused: set[str] = set()
        self.was_frozen: set[str] = set()
        self.calm = False
        self.last: tuple[str, list[Outcome]] | None = None

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize(calm=st.booleans())
    def begin(self, calm: bool) -> None:
        self.calm = calm  # nobody freezes, pauses or changes anything: much that is said of quiet times alone is tried then
        self.run(self._open())

    async def _open(self) -> None:
        self.store: JobStore = make_store(self.url, queue_name(), self.clock, window=3, max_crashes=50)
        for name, policies in LIMITS.items():
            self.force[name] = self.code[name] = policies[0]
        await self.store.publish({}, [policies[0] for policies in LIMITS.values()])

    def book(self, bucket: str) -> Ledger:
        return self.books.setdefault(bucket, Ledger(self.force[bucket.partition("/")[0]]))

    # Producers

    @rule(
        choice=st.sampled_from(NEEDS),
        count=st.integers(1, 5),
        priority=st.sampled_from(Priority),
        share=st.sampled_from(["", "", "s", "t"]),
    )
    def submit(self, choice: list[Need], count: int, priority: Priority, share: str) -> None:
        names = [f"j{len(self.needs) + number}" for number in range(count)]
        batch = [job(name, needs=choice, priority=priority, share=share, weight=3 if share == "t" else 1) for name in names]
        self.needs.update(dict.fromkeys(names, choice))
        self.run(self.store.submit(batch))
        assert set(self.run(self.store.submit(batch))) == {"existing"}

    @rule(choice=st.sampled_from(NEEDS), max_wait=st.sampled_from([0.5, 3.0]))
    def submit_impatient(self, choice: list[Need], max_wait: float) -> None:
        name = f"j{len(self.needs)}"
        self.needs[name] = choice
        self.run(self.store.submit([job(name, needs=choice, max_wait=max_wait)]))

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.needs)))
        answers = [self.run(self.store.cancel(name)) for _ in range(2)]
        assert answers[0] == answers[1]

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.run(self.store.retry(data.draw(st.sampled_from(sorted(self.needs)))))

    # Workers

    def _start(self, worker: str, jobs: list[StartedJob]) -> None:
        for one in jobs:
            assert not any(one.id in held for held in self.in_hand.values()), f"{one.id} runs twice"
            self.in_hand[worker][one.id] = one
            for need in self.needs[one.id]:
                page = self.book(need.bucket)
                page.taken.append(Taken(self.clock.now_us, need.cost, f"{one.id}#{one.attempt}"))
                if isinstance(page.policy, Concurrency):
                    assert list(page.excess()) == []

    def _stop(self, one: StartedJob, settled: dict[str, int] | None = None) -> None:
        for need in self.needs[one.id]:
            for taken in self.book(need.bucket).taken:
                if taken.holder == f"{one.id}#{one.attempt}":
                    taken.runs = False
                    taken.used = (settled or {}).get(need.bucket, taken.used)

    @rule(worker=st.sampled_from(WORKERS), free=st.integers(1, 6), held=st.booleans(), lost=st.sampled_from([False] * 5 + [True]))
    def claim(self, worker: str, free: int, held: bool, lost: bool) -> None:
        if worker in self.lost:
            self.reconcile()
        self.run(self.store.enlist(worker, "{}"))
        entries = self.run(read(self.store, worker, 1, 0.001)) if held else []
        claimed = self.run(self.store.claim(worker, ClaimRequest(free, entries, read_more=True, alone=True)))
        assert len(claimed.jobs) <= free
        if lost:
            self.lost.add(worker)
        else:
            self._start(worker, claimed.jobs)

    @precondition(lambda self: self.lost)
    @rule()
    def reconcile(self) -> None:
        for worker in sorted(self.lost):
            self.run(self.store.reconcile(worker, list(self.in_hand[worker].values())))
            assert self.run(self.store.reconcile(worker, list(self.in_hand[worker].values()))) == 0
        self.lost.clear()

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(
        data=st.data(), ending=st.sampled_from([*[Ending.succeeded] * 3, *Ending]), used=st.none() | st.integers(0, 3), serve=st.booleans()
    )
    def finish(self, data: st.DataObject, ending: Ending, used: int | None, serve: bool) -> None:
        if self.calm and ending is Ending.throttled:
            ending = Ending.returned
        if serve and not self.lost:
            self.serve_all_that_can_be()
        worker = data.draw(st.sampled_from([worker for worker in WORKERS if self.in_hand[worker]]))
        one = self.in_hand[worker].pop(data.draw(st.sampled_from(sorted(self.in_hand[worker]))))
        settled = {} if used is None else {need.bucket: used for need in self.needs[one.id] if need.bucket[0] != "c"}
        bucket = data.draw(st.sampled_from(self.needs[one.id])).bucket
        text = ";".join(f"{name}={tokens}" for name, tokens in settled.items())
        outcomes = [Outcome(one, ending, b"{}", 700_000, 60_000, text, bucket if ending is Ending.throttled else "")]
        self._stop(one, settled)
        if ending is Ending.throttled:
            self.frozen_us[bucket] = max(self.frozen_us[bucket], self.clock.now_us + 700_000)
            self.was_frozen.add(bucket)
        assert set(self.run(self.store.finish(worker, outcomes))) <= {"accepted"}
        self.last = worker, outcomes
        if serve and not self.lost:
            self.serve_all_that_can_be()

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self) -> None:
        assert self.last is not None
        before = self.run(self._numbers())
        assert set(self.run(self.store.finish(*self.last))) <= {"repeated", "stale"}
        assert self.run(self._numbers()) == before

    @rule(worker=st.sampled_from(WORKERS))
    def crash(self, worker: str) -> None:
        late = list(self.in_hand.pop(worker, {}).values())
        self.lost.discard(worker)
        self._renew(but=worker)
        self.run(command(self.store.redis, "ZADD", self.store.keys.workers, 1, worker))
        self.run(self.store.reclaim())
        for one in late:
            self._stop(one)
        before = self.run(self._numbers())
        words = [Outcome(one, Ending.succeeded, b"1", 0, 60_000, f"{self.needs[one.id][0].bucket}=0") for one in late]
        assert set(self.run(self.store.finish(worker, words))) <= {"stale", "repeated"}
        assert self.run(self._numbers()) == before

    def _renew(self, but: str = "") -> None:
        """Workers that live renew their leases, whatever the time does."""
        for worker in WORKERS:
            if worker != but and (self.in_hand[worker] or worker in self.lost):
                self.run(self.store.enlist(worker, "{}"))

    # Operators

    @precondition(lambda self: not self.calm)
    @rule(name=st.sampled_from(sorted(LIMITS)), choice=st.integers(0, 2), seconds=st.sampled_from([0, 0, 2]))
    def override(self, name: str, choice: int, seconds: int) -> None:
        policy = LIMITS[name][choice % len(LIMITS[name])]
        self.run(self.store.override(name, policy.to_json(), seconds * S, "test"))
        self._change(name, policy)
        self.until_us.pop(name, None)
        if seconds:
            self.until_us[name] = self.clock.now_us + seconds * S

    @precondition(lambda self: not self.calm)
    @rule(name=st.sampled_from(sorted(LIMITS)))
    def restore(self, name: str) -> None:
        self.run(self.store.override(name, "", 0, ""))
        self.until_us.pop(name, None)
        self._change(name, self.code[name])

    def _change(self, name: str, policy: Limit) -> None:
        self.force[name] = policy
        for bucket, page in self.books.items():
            if bucket.partition("/")[0] == name:
                page.change(policy)

    @precondition(lambda self: not self.calm)
    @rule(name=st.sampled_from(sorted(LIMITS)), on=st.booleans())
    def pause(self, name: str, on: bool) -> None:
        self.run(self.store.pause(name, on=on, reason=""))
        (self.paused.add if on else self.paused.discard)(name)

    @precondition(lambda self: not self.calm)
    @rule(bucket=st.sampled_from(["b", "w", "c", "q", "k", "k/m"]), seconds=st.sampled_from([0, 1, 3]))
    def freeze(self, bucket: str, seconds: int) -> None:
        left_us = self.run(self.store.freeze(bucket, seconds * S, "test"))
        self.was_frozen.add(bucket)
        if seconds:
            self.frozen_us[bucket] = max(self.frozen_us[bucket], self.clock.now_us + seconds * S)
            assert left_us == self.frozen_us[bucket] - self.clock.now_us
        else:
            self.frozen_us[bucket] = 0

    @precondition(lambda self: not self.lost)
    @rule()
    def serve(self) -> None:
        self.serve_all_that_can_be()

    def serve_all_that_can_be(self) -> None:
        """With slots for everybody, nobody waits for one limit alone that has room for the dearest of them."""
        still = 0
        while still < 2:
            self.run(self.store.enlist("w", "{}"))
            started = self.run(self.store.claim("w", ClaimRequest(50, read_more=True, alone=True))).jobs
            self._start("w", started)
            still = 0 if started or self.run(self.store.refill())[0] else still + 1
        if self.run(command(self.store.redis, "EXISTS", self.store.keys.holds)):
            return  # some line keeps a place of a bucket while it waits at another, and may do so
        waiting = [
            name for name, state in zip(self.needs, self.run(states(self.store, list(self.needs))), strict=True) if state == "waiting"
        ]
        for bucket in {"c", "w"} - self.was_frozen - self.paused:
            policy = self.force[bucket]
            since_us = self.clock.now_us - policy.window_us if isinstance(policy, SlidingWindow) else 0
            taken = [one for one in self.book(bucket).taken if (one.runs if bucket == "c" else one.at_us >= since_us)]
            spent = sum(one.cost if one.used is None or bucket == "c" else one.used for one in taken)
            alone = {name: self.needs[name][0].cost for name in waiting if {need.bucket for need in self.needs[name]} == {bucket}}
            dearest = min(max(alone.values(), default=0), policy.capacity)
            assert not alone or policy.capacity - spent < dearest, f"{alone} wait for {policy} with {spent} spent"

    # Time

    @rule(move_us=st.integers(1, 3 * S))
    def advance(self, move_us: int) -> None:
        self._move(move_us)

    @rule()
    def advance_to_the_next_wake(self) -> None:
        _, next_us = self.run(self.store.refill())
        self._move(max(next_us, 0))

    def _move(self, move_us: int) -> None:
        target_us = self.clock.now_us + move_us
        for name, until_us in sorted(self.until_us.items(), key=lambda row: row[1]):
            if until_us <= target_us:
                del self.until_us[name]
                self._change(name, self.code[name])
        self.clock.now_us = target_us
        self.run(self.store.promote())
        self.run(self.store.expire())
        self.run(self.store.refill())

    # What must be true after each step

    async def _numbers(self) -> dict[str, Any]:
        """What is taken of every bucket."""
        found = {}
        for key in await all_keys(self.store):
            if ":bucket:" in key:
                found[key] = await command(self.store.redis, "HMGET", key, "deficit", "used", "frozen_until")
        return found

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        for page in self.books.values():
            if not isinstance(page.policy, Concurrency):
                assert list(page.excess()) == []

    @invariant()
    def nothing_is_out_of_place(self) -> None:
        if not self.force:
            return
        assert self.run(inconsistencies(self.store)) == []
        self.run(self._check_holders())

    async def _check_holders(self) -> None:
        held = await scores(self.store, self.store.keys.holders("c"))
        used = int(await command(self.store.redis, "HGET", self.store.keys.bucket("c"), "used") or 0)
        assert used == sum(int(member.partition(":")[0]) for member in held)
        if not self.lost:
            assert {member.partition(":")[2] for member in held} == {taken.holder for taken in self.book("c").taken if taken.runs}
        taken = await scores(self.store, self.store.keys.taken("w"))
        summed = int(await command(self.store.redis, "HGET", self.store.keys.bucket("w"), "used") or 0)
        assert summed == sum(int(member.partition(":")[0]) for member in taken)

    def teardown(self) -> None:
        try:
            if self.force:
                self.run(self._drain())
                self.run(self._check_end())
        finally:
            if self.force:
                self.run(self._close())
            self.loop.close()

    async def _drain(self) -> None:
        """Nothing is paused, workers work, time passes: every job must end."""
        for worker in self.lost:
            await self.store.reconcile(worker, list(self.in_hand[worker].values()))
        for name in LIMITS:
            await self.store.pause(name, on=False, reason="")
        for _ in range(600):
            moved = 0
            for worker in WORKERS:
                await self.store.enlist(worker, "{}")
                started = (await self.store.claim(worker, ClaimRequest(50, read_more=True, alone=True))).jobs
                self._start(worker, started)
                held = list(self.in_hand.pop(worker, {}).values())
                moved += len(held)
                await self.store.finish(worker, [Outcome(one, Ending.succeeded, b"1", 0, 60_000) for one in held])
                for one in held:
                    self._stop(one)
            released, next_us = await self.store.refill()
            if moved or released:
                continue
            waits = [next_us, (await self.store.promote())[1], (await self.store.expire())[1]]
            waits = [wait_us for wait_us in waits if wait_us >= 0]
            if not waits and not await stream_ids(self.store):
                return
            self.clock.advance_us(min(waits, default=0))
        raise AssertionError(f"stranded: {await states(self.store, list(self.needs))}")

    async def _check_end(self) -> None:
        assert set(await states(self.store, list(self.needs))) <= ENDED
        async with connect(self.url) as redis:
            assert await immortal_keys(redis, self.store.keys.queue) == []
        left = [key.removeprefix(self.store.keys.prefix) for key in await all_keys(self.store)]
        assert [name for name in left if name.startswith(("line:", "lines:", "holders:")) or name in {"holds", "wakes"}] == []

    async def _close(self) -> None:
        async with connect(self.url) as redis:
            if keys := await keys_of(redis, self.store.keys.queue):
                await redis.delete(*keys)
        await self.store.close()


def play(direct_url: str, examples: int, steps: int, *, derandomize: bool) -> None:
    machine = type("World", (World,), {"url": direct_url})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_random_histories_of_all_kinds_keep_every_promise(direct_url: str) -> None:
    play(direct_url, 40, 40, derandomize=True)


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('soak')", reason="minutes long: give --soak MINUTES")
def test_long_random_histories_of_all_kinds_keep_every_promise(direct_url: str, request: pytest.FixtureRequest) -> None:
    play(direct_url, 60 * int(request.config.getoption("soak")), 80, derandomize=False)
