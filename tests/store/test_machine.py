"""All kinds of limits side by side, in random histories that find their own way: no limit is exceeded, no token lies idle, nothing leaks."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome
from runner.limits import Concurrency, Limit, Need, SlidingWindow, TokenBucket, encode_needs
from runner.limits.naming import limit_name
from runner.store.claims import ClaimRequest
from tests.conftest import connect
from tests.leftovers import immortal_keys
from tests.store.actors import Operators, Producers, Takers, Time, Workers
from tests.store.builders import KEPT_MS
from tests.store.census import wrong_counts, wrong_lists
from tests.store.inside import all_keys, broken_marks, bucket_state, field, inconsistencies, promised_of, scores, states, stream_ids
from tests.store.world import LIMITS, WORKERS

ENDED = {"succeeded", "failed", "cancelled", "expired"}


GONE_AT_REST = (
    "line:",
    "lines:",
    "holders:",
    "claims:",
    "records",
    "wakes",
    "waiting:",
    "retimes",
    "expiring",
    "scheduled",
    "unique",
    "parked",
    "pauses",
)
"""Keys of which nothing is left once nobody waits and nothing runs."""
LONGEST_US = 30_000_000
"""Longer than a freeze, an override, a retry's delay and the life of a slot together, as the actors choose them."""
NEVER_US = 2**62


def slowest_us(need: Need) -> int:
    """How long one job takes of a bucket under the slowest of its policies."""
    longest = 0
    for policy in LIMITS[need.limit]:
        if isinstance(policy, TokenBucket):
            longest = max(longest, policy.every_us * -(-need.cost // policy.refill))
        elif isinstance(policy, SlidingWindow):
            longest = max(longest, policy.window_us or 0)
    return longest


class Machine(Producers, Takers, Workers, Operators, Time):
    """All of them upon one queue, what must be true after each step, and at the end: every job ends, and nothing is left."""

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        for page in self.books.ledgers:
            if not isinstance(page.policy, Concurrency):
                assert list(page.excess()) == []

    @invariant()
    def nothing_is_out_of_place(self) -> None:
        assert self.run(inconsistencies(self.store)) == []
        self.run(self._check_holders())

    async def _check_holders(self) -> None:
        await self.note_tickets()
        for name in ("c", "x"):
            held = await scores(self.store, self.store.keys.holders(name))
            kind = await command(self.store.redis, "HGET", self.store.keys.bucket(name), "kind")
            used = await field(self.store, name, "used" if kind == b"concurrency" else "concurrency.used")
            assert used == sum(int(member.partition(":")[0]) for member in held)
            if not self.lost:
                still = [member for member, lapses_us in held.items() if lapses_us > self.clock.now_us]
                assert {member.partition(":")[2] for member in still} == {one.holder for one in self.books.of(name).taken if one.holds}
        taken = await scores(self.store, self.store.keys.taken("w"))
        summed = int(await command(self.store.redis, "HGET", self.store.keys.bucket("w"), "used") or 0)
        assert summed == sum(int(member.partition(":")[0]) for member in taken)

    @invariant()
    def a_mark_is_one_jobs(self) -> None:
        assert self.run(broken_marks(self.store, self.marked)) == []

    @invariant()
    def all_is_counted_and_listed(self) -> None:
        assert self.run(wrong_counts(self.store)) == []
        assert self.run(wrong_lists(self.store, by_state=False)) == []

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        """What is taken, what released jobs are to take and what lines have set aside fit into each bucket, as long as nobody changes it."""
        if self.calm and not self.overdrawn:
            for bucket in ("b", "w", "c", "k/m"):
                policy = self.books.in_force[limit_name(bucket)]
                promised = self.run(promised_of(self.store, bucket)) - self.run(self._promised_unasked(bucket))
                used = self.run(self._used(bucket, policy))
                assert used + promised <= policy.capacity, f"{used} of {policy} are used and {promised} promised"

    async def _promised_unasked(self, bucket: str) -> int:
        names = sorted(self.replaced)
        found = zip(names, await states(self.store, names), strict=True)
        self.replaced = {name for name, state in found if state == "queued"}
        return sum(need.cost for name in self.replaced for need in self.needs[name] if need.bucket == bucket)

    async def _used(self, bucket: str, policy: Limit) -> int:
        taken = self.books.of(bucket).taken
        if isinstance(policy, TokenBucket):
            state = (await bucket_state(self.store, bucket)).refilled(policy, self.clock.now_us)
            return -(-state.deficit // policy.credits_a_token)
        if isinstance(policy, SlidingWindow):
            return sum(one.counts for one in taken if one.at_us >= self.clock.now_us - (policy.window_us or 0))
        return sum(one.cost for one in taken if one.holds)

    async def close(self) -> None:
        try:
            await self._drain()
            await self._check_end()
        finally:
            await super().close()

    async def _drain(self) -> None:
        """Nothing is paused, workers work, time passes: every job must end."""
        for worker in self.lost:
            await self.store.reconcile(worker, list(self.in_hand[worker].values()))
        for name in LIMITS:
            await self.store.pause(name, on=False, reason="")
        for part in self.pauses:
            await self.store.end_pause(*part)
        self.pauses.clear()
        while await self.store.unpause() == 0:
            pass
        soon, by_us = await self._due_soon()
        for _ in range(600):
            moved = 0
            for worker in WORKERS:
                await self.store.enlist(worker, "{}")
                started = (await self.store.claim(worker, ClaimRequest(50, read_more=True, alone=True))).jobs
                self.note_started(worker, started)
                held = list(self.in_hand.pop(worker, {}).values())
                moved += len(held)
                await self.store.finish(worker, [Outcome(one, Ending.succeeded, b"1", 0, KEPT_MS) for one in held])
                for one in held:
                    self.note_ended(one)
            released, next_us = await self.store.refill()
            await self.note_tickets()
            if moved or released or await self.store.retime():
                continue
            (promoted, due_us), (_, expire_us) = await self.store.promote(), await self.store.expire()
            if promoted:
                continue  # it may stand in a line now, whose wake was not there as the lines were looked at
            waits = [wait_us for wait_us in (next_us, due_us, expire_us) if wait_us >= 0]
            if not waits and not await stream_ids(self.store):
                return
            wait_us = min(waits, default=0)
            if self.clock.now_us + wait_us > by_us:
                late = [name for name, state in zip(soon, await states(self.store, soon), strict=True) if state not in ENDED]
                assert not late, f"{late} could have started by now"
                by_us = NEVER_US
            self.move_clock(wait_us)
        raise AssertionError(f"stranded: {await states(self.store, list(self.needs))}")

    async def _due_soon(self) -> tuple[list[str], int]:
        """The jobs that need not wait for another day, and the instant by which they have started even if all were served one by one."""
        names = list(self.needs)
        waiting = [name for name, state in zip(names, await states(self.store, names), strict=True) if state not in ENDED]
        needs = [need for name in waiting for need in self.needs[name]]
        needs += [need for ticket in self.tickets.values() for need in ticket.needs]
        soon = [name for name in waiting if all(need.bucket != "q" for need in self.needs[name])]
        return soon, self.clock.now_us + LONGEST_US + sum(slowest_us(need) for need in needs if need.bucket != "q")

    async def _check_end(self) -> None:
        assert set(await states(self.store, list(self.needs))) <= ENDED
        assert not self.tickets
        for name, ticket in self.held.items():
            await self.store.hold(name, encode_needs(ticket.needs)[0], 0)
        async with connect(self.url) as redis:
            assert await immortal_keys(redis, self.store.keys.queue) == []
        left = [key.removeprefix(self.store.keys.prefix) for key in await all_keys(self.store)]
        assert [name for name in left if name.startswith(GONE_AT_REST)] == []
        for name in left:
            if name.startswith("bucket:"):
                assert await promised_of(self.store, name.removeprefix("bucket:")) == 0, name


def play(direct_url: str, examples: int, steps: int, *, derandomize: bool) -> None:
    machine = type("Machine", (Machine,), {"url": direct_url})
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
