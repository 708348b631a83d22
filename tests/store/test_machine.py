"""All kinds of limits side by side, in random histories that find their own way: no limit is exceeded, no token lies idle, nothing leaks."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome
from runner.limits import Concurrency
from runner.store.claims import ClaimRequest
from tests.conftest import connect
from tests.leftovers import immortal_keys
from tests.store.actors import Operators, Producers, Time, Workers
from tests.store.builders import KEPT_MS
from tests.store.inside import all_keys, inconsistencies, scores, states, stream_ids
from tests.store.world import LIMITS, WORKERS

ENDED = {"succeeded", "failed", "cancelled", "expired"}


class Machine(Producers, Workers, Operators, Time):
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
        held = await scores(self.store, self.store.keys.holders("c"))
        used = int(await command(self.store.redis, "HGET", self.store.keys.bucket("c"), "used") or 0)
        assert used == sum(int(member.partition(":")[0]) for member in held)
        if not self.lost:
            assert {member.partition(":")[2] for member in held} == {taken.holder for taken in self.books.of("c").taken if taken.runs}
        taken = await scores(self.store, self.store.keys.taken("w"))
        summed = int(await command(self.store.redis, "HGET", self.store.keys.bucket("w"), "used") or 0)
        assert summed == sum(int(member.partition(":")[0]) for member in taken)

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
