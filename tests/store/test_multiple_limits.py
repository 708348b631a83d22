"""Jobs of several limits: all or none, and no line starves at two scarce buckets behind lines that need one of them."""

from collections import Counter

import pytest

from runner.limits import Concurrency, Limit, Need, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish, slot
from tests.store.inside import bucket_state, field, spoken_for, states

PAIRS: list[tuple[Limit, Limit]] = [
    (interval("x"), interval("y")),
    (TokenBucket("x", rate="3/s", burst=1), TokenBucket("y", rate="2/s", burst=1)),
    (TokenBucket("x", rate="10/s", burst=5), TokenBucket("y", rate="1/s", burst=1)),
    (SlidingWindow("x", 2, per=1), interval("y", capacity=2, refill=2, every=1.5)),
    (SlidingWindow("x", 2, per=1), TokenBucket("y", rate="3/s", burst=2)),
    (Concurrency("x", 1), TokenBucket("y", rate="3/s", burst=1)),
    (Concurrency("x", 2), SlidingWindow("y", 3, per=1)),
    (Concurrency("x", 1), Concurrency("y", 1)),
]


def need(limit: Limit) -> Need:
    return Need(limit.name, 1, limit.gives_back)


@pytest.mark.parametrize("pair", PAIRS, ids=repr)
async def test_a_line_that_needs_two_saturated_buckets_gets_its_share_of_both(
    store: JobStore, clock: Clock, pair: tuple[Limit, Limit]
) -> None:
    first, second = pair
    await publish(store, *pair)
    await store.submit(jobs(300, "x", needs=[need(first)]) + jobs(300, "y", needs=[need(second)]))
    await store.submit(jobs(40, "both", needs=[need(first), need(second)]))

    served: Counter[str] = Counter()
    gaps, gap = [0], 0
    while min(served["x"], served["y"]) < 15:
        started = await claim(store)
        for name in ids(started):
            kind = name.rstrip("0123456789")
            served[kind] += 1
            gap = 0 if kind == "both" else gap + 1
            gaps.append(gap)
        clock.advance(0.05)  # jobs take a moment: slots are scarce, too
        await finish_all(store, started)
        released, next_us = await store.refill()
        if not started and not released:
            clock.advance_us(min(max(next_us, 0), 100_000))

    # Its share of the scarcer bucket is a half; what it loses is what lies idle while it waits for both.
    assert served["both"] >= 0.2 * min(served["x"], served["y"]), served
    assert max(gaps) <= 3 * sum(served.values()) / min(served.values())


async def test_all_buckets_are_taken_or_none(store: JobStore, clock: Clock) -> None:
    day = Quota("q", 3, per="day")
    await publish(store, interval("x", capacity=9), SlidingWindow("w", 9, per=9), Concurrency("c", 9), day)
    await store.submit(jobs(5, needs=["x", "w", slot("c"), "q"]))

    started = await claim(store)

    assert len(started) == 3
    taken = [(await bucket_state(store, "x")).deficit, *[await field(store, name, "used") for name in "wcq"]]
    assert taken == [3, 3, 3, 3]
    assert [await spoken_for(store, name) for name in "xwcq"] == [(0, 0)] * 4


async def test_the_bucket_that_lacks_longest_is_the_reason(store: JobStore) -> None:
    await publish(store, interval("x", every=5), interval("y", every=50), Concurrency("c", 1))
    await store.submit([job("a", needs=["x", "y"]), job("b", needs=["x", "y"])])
    await claim(store)

    (status,) = await store.get(["b"])

    assert status is not None
    assert (status.reason, status.limit, status.eta_s) == ("tokens", "y", 50)


async def test_a_place_that_is_held_is_used_or_given_up_but_never_lost(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1, every=4), interval("y", capacity=1, every=3))
    await store.submit([*jobs(10, "x", needs=["x"]), *jobs(10, "y", needs=["y"]), *jobs(10, "both", needs=["x", "y"])])
    for _ in range(200):
        started = await claim(store)
        await finish_all(store, started)
        _, next_us = await store.refill()
        if next_us < 0:
            break
        clock.advance_us(max(next_us, 0))

    assert set(await states(store, [f"{name}{number}" for name in ("x", "y", "both") for number in range(10)])) == {"succeeded"}
    assert await store.redis.exists(store.keys.records) == 0
    assert await spoken_for(store, "x") == await spoken_for(store, "y") == (0, 0)


async def test_an_empty_bucket_holds_up_nobody_who_does_not_need_it(store: JobStore) -> None:
    await publish(store, interval("x", capacity=100), interval("dry", every=3_600))
    await store.submit([job("a", needs=["dry"]), *jobs(20, "stuck", needs=["dry", "x"]), *jobs(20, "free", needs=["x"])])

    assert sum(name.startswith("free") for name in ids(await claim(store))) == 20
