"""After a freeze exactly one goes ahead, whoever waits: jobs of one line or of many, tickets, of any cost and any kind of limit."""

import pytest
from redis.asyncio import Redis

from runner.jobs.job import Ending, StartedJob
from runner.jobs.submission import Submission
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, enlist, finish_all, fresh_store, ids, interval, job, jobs, publish, slot, succeeded
from tests.store.inside import commands, states

S = 1_000_000
FROZEN_S = 10
KINDS: list[Limit] = [
    TokenBucket("x", rate="2/s", burst=40),
    interval("x", capacity=40, refill=1, every=0.5),
    SlidingWindow("x", 40, per=20),
    Concurrency("x", 40),
    Quota("x", 80, per="day"),
]
NEXT_AFTER_US = {"token_bucket": S // 2, "sliding_window": S // 2, "quota": S}
"""When the second one may go, if the probe has not ended before."""


def need_of(limit: Limit) -> str:
    return "x=1!" if limit.gives_back else "x=1"


async def submit(store: JobStore, limit: Limit, waiting: str) -> None:
    """Sixty who wait for the end of the freeze."""
    needs = [slot("x") if limit.gives_back else "x"]
    if waiting == "one line":
        await store.submit(jobs(60, needs=needs))
    elif waiting == "many lines":
        await store.submit([job(f"j{number}", needs=needs, share=f"t{number % 20}") for number in range(60)])
    elif waiting == "tickets":
        for number in range(60):
            answer = await store.take(
                f"take:{number}", need_of(limit), "1|x", lapse_us=60 * S if limit.gives_back else 0, wait_us=3_600 * S
            )
            assert answer.state == "waiting"
    else:
        for number in range(30):
            await store.submit([job(f"j{number}", needs=needs, share="s" if number % 2 else "")])
            await store.take(f"take:{number}", need_of(limit), "1|x", lapse_us=60 * S if limit.gives_back else 0, wait_us=3_600 * S)


async def gone_ahead(store: JobStore) -> int:
    """How many have their tokens: jobs that run or ended, and tickets that were served."""
    names = [f"j{number}" for number in range(60)] + [f"take:{number}" for number in range(60)]
    return sum(state in {"running", "succeeded"} for state in await states(store, names))


async def serve(store: JobStore) -> list[StartedJob]:
    """Whatever can go now goes, on the streams too; nothing ends."""
    started: list[StartedJob] = []
    idle = 0
    while idle < 3:
        released, _ = await store.refill()
        more = await claim(store, free=7)
        idle = 0 if more or released else idle + 1
        started += more
    return started


@pytest.mark.parametrize("waiting", ["one line", "many lines", "tickets", "all of them"])
@pytest.mark.parametrize("limit", KINDS, ids=repr)
async def test_exactly_one_probe_goes_after_a_freeze(store: JobStore, clock: Clock, limit: Limit, waiting: str) -> None:
    await publish(store, limit)
    await store.freeze("x", FROZEN_S * S, "test")
    await submit(store, limit, waiting)
    clock.advance_us(FROZEN_S * S - 1)
    await serve(store)
    assert await gone_ahead(store) == 0

    clock.advance_us(1)
    (started,) = [await serve(store)]
    assert await gone_ahead(store) == 1

    if limit.kind in NEXT_AFTER_US:
        clock.advance_us(NEXT_AFTER_US[limit.kind] - 1)
        await serve(store)
        assert await gone_ahead(store) == 1
        clock.advance_us(1)
        await serve(store)
        assert await gone_ahead(store) == (60 if limit.kind == "quota" else 2)
    elif started:
        await finish_all(store, started)
        await serve(store)
        assert await gone_ahead(store) > 10


@pytest.mark.parametrize("limit", KINDS, ids=repr)
async def test_a_job_of_several_tokens_is_one_probe(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.freeze("x", FROZEN_S * S, "test")
    dear: Submission = job("dear", needs=[slot("x", 3) if limit.gives_back else ("x", 3)])
    await store.submit([dear, *jobs(20, needs=[slot("x") if limit.gives_back else "x"])])

    clock.advance(FROZEN_S + (1 if limit.kind == "token_bucket" else 0))

    assert ids(await serve(store)) == ["dear"]


@pytest.mark.parametrize("limit", KINDS, ids=repr)
async def test_a_probe_that_never_began_is_followed_by_another(store: JobStore, clock: Clock, limit: Limit) -> None:
    if limit.kind == "token_bucket":
        return  # its token comes back as any other
    await publish(store, limit)
    await store.freeze("x", FROZEN_S * S, "test")
    await submit(store, limit, "one line")
    clock.advance(FROZEN_S)
    (probe,) = await serve(store)
    assert probe.attempt == 1

    await store.reconcile("w", [])

    (again,) = await serve(store)
    assert (again.id, again.attempt) == (probe.id, 2)


async def test_a_quota_that_fails_its_jobs_when_it_is_spent_fails_none_for_a_probe(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 10, per="day", on_exhausted="fail"))
    await store.freeze("x", FROZEN_S * S, "test")
    await store.submit(jobs(3, needs=["x"]))
    clock.advance(FROZEN_S)

    assert ids(await serve(store)) == ["j0"]
    await store.submit([job("late", needs=["x"])])
    assert await states(store, ["j1", "j2", "late"]) == ["waiting"] * 3
    clock.advance(1)
    assert len(await serve(store)) == 3


@pytest.mark.parametrize("limit", KINDS[:3], ids=repr)
@pytest.mark.parametrize("waiting", ["one line", "many lines"])
async def test_paced_starts_cost_no_more_commands_than_others(
    redis: Redis, direct_url: str, clock: Clock, limit: Limit, waiting: str
) -> None:
    async with fresh_store(redis, direct_url, clock) as store:
        await publish(store, limit)
        await enlist(store, "w")
        await store.freeze("x", FROZEN_S * S, "test")
        await submit(store, limit, waiting)
        clock.advance(FROZEN_S)
        starts, before = 0, await commands(store)
        while starts < 20:
            claimed = await store.claim("w", ClaimRequest(7, read_more=True, alone=True))
            assert claimed.jobs
            starts += len(claimed.jobs)
            await store.finish("w", [succeeded(one) for one in claimed.jobs])
            clock.advance_us(max(claimed.next_wake_us, 0))

        assert (await commands(store) - before) / starts <= 36  # five of them count what happens, for the history


async def test_a_throttled_probe_freezes_again_for_all_kinds_of_waiters(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 40, per=20))
    await store.freeze("x", FROZEN_S * S, "test")
    await submit(store, KINDS[2], "all of them")
    clock.advance(FROZEN_S)
    started = await serve(store)
    assert await gone_ahead(store) == 1

    for one in started:
        await end(store, one, Ending.throttled, delay=5, freeze="x")
    if not started:
        await store.freeze("x", 5 * S, "test")
    clock.advance_us(5 * S - 1)
    await serve(store)
    assert await gone_ahead(store) <= 1
    clock.advance_us(1)
    await serve(store)
    assert await gone_ahead(store) <= 2
