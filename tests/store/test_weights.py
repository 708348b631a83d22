"""Shares: each gets its part of a bucket by weight, whatever the others have in line."""

import pytest

from runner.jobs.submission import Submission
from runner.limits import Concurrency, Limit, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, publish, slot


def share(name: str, count: int, *, weight: int = 1, bucket: str = "x", gives_back: bool = False) -> list[Submission]:
    need = slot(bucket) if gives_back else bucket
    return [job(f"{name}{number}", needs=[need], share=name, weight=weight) for number in range(count)]


async def serve(store: JobStore, clock: Clock, starts: int) -> list[str]:
    """Whose the next starts are."""
    served: list[str] = []
    while len(served) < starts:
        started = await claim(store)
        await finish_all(store, started)
        served += [name.rstrip("0123456789") for name in ids(started)]
        _, next_us = await store.refill()
        clock.advance_us(max(next_us, 0))
    return served[:starts]


async def drained(store: JobStore, limit: Limit) -> None:
    """The limit, with nothing left in it."""
    await publish(store, limit)
    need = slot("x") if limit.gives_back else "x"
    await store.submit([job(f"warm{number}", needs=[need]) for number in range(limit.capacity)])
    await claim(store, worker="other")


ONE_BY_ONE = [interval("x"), TokenBucket("x", rate="7/s", burst=1), SlidingWindow("x", 1, per=0.1)]


@pytest.mark.parametrize("limit", ONE_BY_ONE, ids=repr)
async def test_shares_of_weights_one_two_and_three(store: JobStore, clock: Clock, limit: Limit) -> None:
    await drained(store, limit)
    await store.submit([*share("a", 60), *share("b", 60, weight=2), *share("c", 60, weight=3)])

    served = await serve(store, clock, 60)

    assert [served.count(name) for name in "abc"] == [10, 20, 30]
    for at in range(0, 60, 6):
        assert [served[at : at + 6].count(name) for name in "abc"] == [1, 2, 3]


async def test_a_weight_counts_at_a_concurrency_too(store: JobStore, clock: Clock) -> None:
    await drained(store, Concurrency("x", 1))
    await store.submit([*share("a", 30, gives_back=True), *share("b", 30, weight=3, gives_back=True)])
    await store.redis.zadd(store.keys.workers, {"other": 1})
    await store.reclaim()
    for number in range(1):
        await store.cancel(f"warm{number}")

    served: list[str] = []
    while len(served) < 24:
        started = await claim(store)
        served += [name.rstrip("0123456789") for name in ids(started)]
        await finish_all(store, started)
    served = [name for name in served if name in "ab"][:20]

    assert served.count("b") == 15


async def test_a_thousand_in_line_delay_a_quiet_tenant_by_one_round(store: JobStore, clock: Clock) -> None:
    await drained(store, interval("x"))
    await store.submit([*share("loud", 500), *share("louder", 500)])
    await serve(store, clock, 20)

    await store.submit(share("quiet", 1))

    assert "quiet" in await serve(store, clock, 3)


async def test_a_heavy_share_does_not_starve_a_light_one(store: JobStore, clock: Clock) -> None:
    await drained(store, interval("x"))
    await store.submit([*share("heavy", 300, weight=100), *share("light", 5)])

    served = await serve(store, clock, 210)

    assert served.count("light") >= 2


async def test_within_a_share_the_order_is_that_of_submission(store: JobStore, clock: Clock) -> None:
    await drained(store, interval("x"))
    await store.submit([*share("a", 6), *share("b", 6, weight=2)])
    order: list[str] = []
    while len(order) < 12:
        started = await claim(store)
        order += ids(started)
        await finish_all(store, started)
        clock.advance_us(max((await store.refill())[1], 0))

    assert [name for name in order if name[0] == "a"] == [f"a{number}" for number in range(6)]
    assert [name for name in order if name[0] == "b"] == [f"b{number}" for number in range(6)]


async def test_a_share_that_comes_back_has_saved_nothing_up(store: JobStore, clock: Clock) -> None:
    await drained(store, interval("x"))
    await store.submit([*share("a", 100), *share("b", 2)])
    await serve(store, clock, 40)

    await store.submit([job(f"b9{number}", needs=["x"], share="b") for number in range(20)])

    assert abs((served := await serve(store, clock, 20)).count("a") - served.count("b")) <= 1
