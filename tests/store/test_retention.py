"""How long a job is kept that has ended: what its task says counts for each way to end, whoever ends it, and costs those that succeed nothing."""

from collections.abc import Awaitable, Callable

import pytest

from runner.connection.client import command
from runner.jobs import TaskSpec
from runner.jobs.job import Ending, Outcome
from runner.limits import Quota
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, job, publish, succeeded

DAY_MS, WEEK_MS = 86_400_000, 604_800_000
SPEC = TaskSpec("work", {}, keep={"failed": 5_000, "cancelled": 6_000, "expired": 7_000})


async def fail(store: JobStore, clock: Clock) -> None:
    await store.finish("w", [Outcome(one, Ending.failed, b"{}", 0, WEEK_MS) for one in await claim(store)])


async def end_as_asked(store: JobStore, clock: Clock) -> None:
    started = await claim(store)
    await store.cancel("j")
    await store.finish("w", [Outcome(one, Ending.cancelled, b"", 0, DAY_MS) for one in started])


async def cancel(store: JobStore, clock: Clock) -> None:
    await store.cancel("j")


async def expire(store: JobStore, clock: Clock) -> None:
    clock.advance(11)
    await store.expire()


async def expire_in_claim(store: JobStore, clock: Clock) -> None:
    clock.advance(11)
    await claim(store)


async def lose_workers(store: JobStore, clock: Clock) -> None:
    for _ in range(store.settings.max_crashes):
        await claim(store)
        await command(store.redis, "ZADD", store.keys.workers, 1, "w")
        await store.reclaim()


ENDS: dict[str, tuple[Callable[[JobStore, Clock], Awaitable[None]], str, int, int]] = {
    "failed": (fail, "failed", 5_000, WEEK_MS),
    "poison": (lose_workers, "failed", 5_000, WEEK_MS),
    "cancelled": (cancel, "cancelled", 6_000, DAY_MS),
    "stopped": (end_as_asked, "cancelled", 6_000, DAY_MS),
    "expired": (expire, "expired", 7_000, WEEK_MS),
    "expired in a claim": (expire_in_claim, "expired", 7_000, WEEK_MS),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("says", [True, False])
async def test_a_job_is_kept_for_as_long_as_its_task_says(store: JobStore, clock: Clock, name: str, says: bool) -> None:
    end, state, own_ms, usual_ms = ENDS[name]
    await store.submit([job("j", max_wait=10)])
    if says:  # after its submission: what counts is what the task says when it ends
        await store.publish({"work": SPEC.to_json()}, [])

    await end(store, clock)

    (status,) = await store.get(["j"])
    assert status is not None
    assert status.state == state
    left_ms = await command(store.redis, "PTTL", store.keys.job("j"))
    kept_ms = own_ms if says else usual_ms
    assert kept_ms - 2_000 < left_ms <= kept_ms


async def test_a_spent_quota_is_no_other_end(store: JobStore) -> None:
    await publish(store, Quota("q", 1, per="day", on_exhausted="fail"))
    await store.publish({"work": SPEC.to_json()}, [])
    await store.submit([job("a", needs=["q"])])
    await claim(store)

    assert await store.submit([job("b", needs=["q"])]) == ["failed"]

    assert 0 < await command(store.redis, "PTTL", store.keys.job("b")) <= 5_000


@pytest.mark.parametrize(
    "entry", ["", "1 worker 1 \n{", '1 worker 1 \n{"keep":{"failed":"soon"}}', '1 worker 1 \n{"keep":{"type":"object"}}']
)
async def test_what_cannot_be_read_is_what_the_settings_say(store: JobStore, clock: Clock, entry: str) -> None:
    await command(store.redis, "HSET", store.keys.specs, "work", entry)
    await store.submit([job("j")])

    await fail(store, clock)

    assert WEEK_MS - 2_000 < await command(store.redis, "PTTL", store.keys.job("j")) <= WEEK_MS


async def test_a_job_that_succeeds_is_kept_for_as_long_as_its_worker_says(store: JobStore) -> None:
    await store.publish({"work": SPEC.to_json()}, [])
    await store.submit([job("j")])
    await store.finish("w", [succeeded(one)._replace(ttl_ms=9_000) for one in await claim(store)])

    assert 7_000 < await command(store.redis, "PTTL", store.keys.job("j")) <= 9_000
