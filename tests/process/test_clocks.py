"""Clocks that are wrong: Redis's own, stepped while jobs run, and those of workers, which must not matter at all."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests import invariants
from tests.conftest import connect
from tests.eventually import PATIENCE_S, eventually
from tests.process.apps import METERED, PATIENT, App
from tests.process.crew import Crew, crew_of, final, worker_ids
from tests.recovery import Recovery
from tests.servers import VALKEY, Server

QUEUE = "clocks"
LIBRARIES = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
"""Debian's package faketime. Under it redis-server does not start (its allocator asks for the time too early), Valkey does."""


class SteppedServer(Server):
    """A Valkey whose clock can be set while it runs; timers that count from its start are left as they are."""

    def __init__(self) -> None:
        super().__init__(VALKEY)
        self._offset = self.folder / "offset"
        self.step(0)
        faked = {
            "LD_PRELOAD": LIBRARIES[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self._command = ["env", *(f"{name}={value}" for name, value in faked.items()), *self._command]

    def step(self, offset_s: int) -> None:
        """Set its clock so many seconds from the true one."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}")
        fresh.rename(self._offset)


@pytest.fixture
def stepped_server() -> Iterator[SteppedServer]:
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed (Debian, Ubuntu: apt-get install faketime)")
    with SteppedServer() as server:
        yield server


@pytest.mark.fault("F29", bound_s=10)
@pytest.mark.parametrize("step_s", [pytest.param(-60, marks=pytest.mark.slow), -3600, pytest.param(60, marks=pytest.mark.slow), 3600])
async def test_a_step_of_the_clock_of_redis_breaks_no_limit_and_freezes_nothing(
    stepped_server: SteppedServer, tmp_path: Path, step_s: int, recovery: Recovery
) -> None:
    """Measured by the true clock, in the handlers: a step forward may give each bucket what it holds at most, once."""
    app = App(stepped_server.url, QUEUE, tmp_path, **PATIENT)
    async with crew_of(stepped_server.url, QUEUE, tmp_path) as crew, connect(stepped_server.url) as redis:
        for _ in range(2):
            await crew.start()
        ids = await app.submit(app.metered, range(400))
        await eventually(lambda: app.runs().total() > 60)
        stepped_s, before = time.monotonic(), app.runs().total()

        stepped_server.step(step_s)
        assert abs((await redis.time())[0] - time.time() - step_s) < 5

        recovery.begins()
        seen = [(stepped_s, before)]
        while (count := app.runs().total()) < 400:
            seen.append((time.monotonic(), count))
            assert time.monotonic() - stepped_s < PATIENCE_S, seen[-1]
            await asyncio.sleep(0.02)
        await final(redis, QUEUE, ids)
        await eventually(lambda: all_live(redis, crew))
        recovery.ends()

        progress = [at_s for (at_s, count), (_, later) in pairwise(seen) if later > count]
        assert max(later - earlier for earlier, later in pairwise([stepped_s, *progress])) < 5
        reruns = app.runs().total() - 400
        for at_s, count in seen:
            allowed = METERED.bound(at_s - stepped_s) + (METERED.capacity if step_s > 0 else 0)
            assert count - before <= allowed + 10, (at_s - stepped_s, count - before)  # what had started and not been noted yet
        assert reruns <= (2 * 5 if step_s > 0 else 0), "only a step forward can cost a lease"
        assert await invariants.settled_twice(redis, QUEUE) == []
        await app.runner.close()


async def all_live(redis: Redis, crew: Crew) -> bool:
    return set(await worker_ids(redis, QUEUE)) == {worker.pid for worker in crew.alive}


@pytest.mark.fault("F30")
async def test_workers_whose_clocks_are_an_hour_off_keep_limits_leases_and_delays(app: App, redis: Redis, queue: str, crew: Crew) -> None:
    for offset_s in (3600, -3600):
        await crew.start(first=f"import time; true = time.time; time.time = lambda: true() + {offset_s}")
    ids = await app.submit(app.metered, range(150), 0.01)
    submitted_s = time.monotonic()
    delayed = await app.submit(app.nap, range(1000, 1010), delay=1.5)
    await eventually(lambda: set(delayed) <= set(app.runs()))
    assert time.monotonic() - submitted_s >= 1.5
    await final(redis, queue, [*ids, *delayed])

    assert app.runs() == dict.fromkeys([*ids, *delayed], 1)
    live = (await worker_ids(redis, queue)).values()
    await eventually(lambda: clean(app, redis, queue, [*ids, *delayed], list(live)))


async def clean(app: App, redis: Redis, queue: str, ids: list[str], live: list[str]) -> bool:
    return not await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live)
