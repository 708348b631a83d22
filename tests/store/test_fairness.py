"""Fair shares: lines at one bucket take turns, whoever came first and whatever they were served elsewhere."""

import pytest

from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish


async def serve(store: JobStore, clock: Clock, starts: int, free: int = 100) -> list[str]:
    """Which lines the next `starts` starts come from: the letters before the number in each job's id."""
    served: list[str] = []
    while len(served) < starts:
        started = await claim(store, free)
        await finish_all(store, started)
        served += [name.rstrip("0123456789") for name in ids(started)]
        _, next_us = await store.refill()
        clock.advance_us(max(next_us, 0))
    return served[:starts]


def lead_of(one: str, other: str, served: list[str]) -> int:
    """By how many starts either line was ahead of the other, at the worst."""
    worst = 0
    for at in range(len(served) + 1):
        worst = max(worst, abs(served[:at].count(one) - served[:at].count(other)))
    return worst


async def exhaust(store: JobStore, *buckets: str) -> None:
    """Take the one token of each bucket."""
    await store.submit([job(f"exhaust{bucket}{id(buckets)}", needs=[bucket]) for bucket in buckets])
    await finish_all(store, await claim(store))


LIMITS = [interval("x"), TokenBucket("x", rate="7/s", burst=1), interval("x", capacity=4, refill=4, every=2)]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["together", "one-after-the-other"])
async def test_two_lines_at_a_bucket_take_turns(store: JobStore, clock: Clock, limit: TokenBucket, together: bool) -> None:
    await publish(store, limit, interval("y", capacity=1000))
    await store.submit(jobs(limit.capacity, "warm", needs=["x"]))
    await finish_all(store, await claim(store))
    await store.submit(jobs(60, "a", needs=["x"]))
    if not together:
        await serve(store, clock, 20)
    await store.submit(jobs(40, "b", needs=["x", "y"]))

    served = await serve(store, clock, 80 if together else 60)

    assert lead_of("a", "b", served) <= (1 if limit.capacity == 1 else limit.capacity)
    assert abs(served.count("a") - served.count("b")) <= 1


async def test_three_lines_at_a_bucket_take_turns(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("y", capacity=1000), interval("z", capacity=1000))
    await exhaust(store, "x")
    await store.submit([*jobs(30, "a", needs=["x"]), *jobs(30, "b", needs=["x", "y"]), *jobs(30, "c", needs=["x", "z"])])

    served = await serve(store, clock, 90)

    assert max(lead_of(one, other, served) for one, other in ("ab", "bc", "ca")) == 1


async def test_a_line_of_one_job_at_a_time_gets_no_more_than_its_share(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("y", capacity=1000))
    await exhaust(store, "x")
    await store.submit(jobs(40, "a", needs=["x"]))
    served = []
    for number in range(20):
        await store.submit([job(f"b{number}", needs=["x", "y"])])
        served += await serve(store, clock, 2)

    assert lead_of("a", "b", served) <= 2


async def test_a_newcomer_is_served_within_one_round_of_long_waiting_lines(store: JobStore, clock: Clock) -> None:
    names = ["a", "b", "c"]
    await publish(store, interval("x"), *(interval(name, capacity=1000) for name in names))
    await exhaust(store, "x")
    for name in names:
        await store.submit(jobs(100, name, needs=["x", name]))
    await serve(store, clock, 150)

    await store.submit(jobs(10, "new", needs=["x"]))

    served = await serve(store, clock, 16)
    assert "new" in served[:4]
    assert max(lead_of("new", name, served) for name in names) <= 2


async def test_ten_thousand_starts_at_another_bucket_leave_a_line_neither_ahead_nor_behind(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("busy", capacity=1000, refill=1000), interval("x", capacity=9000), interval("z", capacity=1000))
    await store.submit([*jobs(7000, "u", needs=["busy"]), *jobs(7000, "veteran", needs=["busy", "x"])])
    assert abs((await serve(store, clock, 10_000, free=1000)).count("veteran") - 5000) <= 64
    await publish(store, interval("x"))
    await store.submit([*jobs(20, "a", needs=["x"]), *jobs(20, "b", needs=["x", "z"])])
    await serve(store, clock, 500, free=1000)
    clock.advance(5000)

    served = [line for line in await serve(store, clock, 3_100, free=1000) if line != "u"][:30]

    assert sorted(served[:3]) == ["a", "b", "veteran"]
    assert max(lead_of("veteran", other, served) for other in "ab") <= 2


async def test_a_line_that_stood_elsewhere_meanwhile_has_no_arrears_to_claim(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("busy", capacity=10, refill=10), interval("x", 1000, 1000, every=60), interval("z", capacity=9000))
    await store.submit([job("exhaust", needs=[("x", 1000)])])
    await finish_all(store, await claim(store))
    await store.submit([*jobs(100, "c", needs=["busy", "x"]), *jobs(1000, "u", needs=["busy"]), *jobs(1000, "v", needs=["busy", "z"])])
    assert "c" not in await serve(store, clock, 600)

    served = await serve(store, clock, 60)

    assert "c" in served[:20]
    assert max(lead_of("c", other, served[served.index("c") :]) for other in "uv") <= 2


async def test_a_line_that_comes_back_within_the_minute_is_not_first_again(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("y", capacity=1000), interval("z", capacity=1000))
    await exhaust(store, "x")
    await store.submit([*jobs(20, "a", needs=["x"]), *jobs(20, "b", needs=["x", "y"]), job("c0", needs=["x", "z"])])
    assert sorted(await serve(store, clock, 3)) == ["a", "b", "c"]

    await store.submit([job("c1", needs=["x", "z"])])

    assert (await serve(store, clock, 3)).count("c") == 1


async def test_tenants_share_a_common_limit_whatever_they_have_in_line(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("all", rate="10/s", burst=1), TokenBucket("tenant", rate="8/s", burst=4, key="{id}"))
    await store.submit(jobs(200, "whale", needs=["all", "tenant/whale"]))
    await store.submit([job(f"fish{number}", needs=["all", f"tenant/{number}"]) for number in range(10)])

    served = await serve(store, clock, 25)

    assert served.count("fish") == 10
