"""What a waiting job is told of its place and time, against what comes true: the scripts on a real server, in virtual time."""

import random
from collections.abc import Sequence

import pytest

from runner.clock import MICROSECONDS as S
from runner.jobs.job import Priority
from runner.limits import Concurrency, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, ids, interval, job, jobs, publish, slot, succeeded
from tests.store.virtual.told import KINDS, Told, lines_of, told

SEEDS = range(3)


def wrong(rows: Sequence[Told]) -> list[Told]:
    return [row for row in rows if not row.is_right]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 30])
def test_a_job_is_told_its_time_within_a_fifth_or_a_second(redis_url: str, kind: str, count: int) -> None:
    rows = list[Told]()
    for seed in SEEDS:
        r = random.Random(seed)
        rows += told(redis_url, kind, lines_of(r, count), r)

    assert len(wrong(rows)) <= len(rows) // 50, wrong(rows)
    assert [row for row in rows if not row.is_placed(0.1, 2)] == []


def test_of_hundreds_of_lines_a_sample_is_enough(redis_url: str) -> None:
    r = random.Random(7)
    rows = list(told(redis_url, "smooth", lines_of(r, 400), r, most=20))

    assert len(wrong(rows)) <= 2, wrong(rows)
    assert [row for row in rows if not row.is_placed(0.2, 3)] == []


def test_many_jobs_that_are_asked_about_at_once_are_told_as_well(redis_url: str) -> None:
    r = random.Random(3)
    rows = list(told(redis_url, "smooth", lines_of(r, 30), r, most=300))

    assert len(rows) > 400
    assert len(wrong(rows)) <= len(rows) // 50, wrong(rows)


async def test_of_very_many_lines_the_lengths_are_read_in_further_calls(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=1))
    lengths = [1] * 60 + [1 if number % 10 else 20 for number in range(590)]
    for place in range(max(lengths)):
        wanted = [number for number, length in enumerate(lengths) if place < length]
        for at in range(0, len(wanted), 300):
            await store.submit([job(f"{n}-{place}", needs=["x"], share=f"t{n}") for n in wanted[at : at + 300]])

    (status,) = await store.get(["60-19"])

    assert status is not None
    assert status.eta_s is not None
    ahead = sum(lengths) - 59  # of 59 lines the last job comes after it
    assert status.position is not None
    assert abs(status.position - ahead) <= ahead / 10, (status.position, ahead)
    assert abs(status.eta_s - ahead / 10) <= ahead / 100, (status.eta_s, ahead / 10)


async def test_the_last_of_500_tenants_is_told_when_it_starts(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("stripe", rate="10/s", burst=1), TokenBucket("tenant", rate="1/s", key="{tenant}"))
    await store.submit([job(f"j{number}", needs=["stripe", f"tenant/t{number}"]) for number in range(500)])
    assert ids(await claim(store)) == ["j0"]

    statuses = await store.get([f"j{number}" for number in (1, 250, 499)])

    for status, real_s in zip(statuses, (0.1, 25.0, 49.9), strict=True):
        assert status is not None
        assert status.eta_s is not None
        assert abs(status.eta_s - real_s) <= max(real_s / 5, 1), (status.eta_s, real_s)


async def test_the_costs_of_those_ahead_count(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=100))
    await store.submit([job(needs=[("x", 100)]), job(needs=[("x", 50)]), job("last", needs=["x"])])

    (status,) = await store.get(["last"])

    assert status is not None
    assert (status.position, status.eta_s) == (2, 5.1)


async def test_a_quota_counts_through_its_later_periods(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 2, per="day"))
    await store.extend_calendar("day:UTC")
    await store.submit(jobs(7, "j", needs=["x"]))
    assert len(await claim(store)) == 2

    statuses = await store.get([f"j{number}" for number in range(2, 7)])

    first_s, *later_s = [status.eta_s for status in statuses if status is not None and status.eta_s is not None]
    assert 0 < first_s <= 86_400
    assert [round(eta_s - first_s) for eta_s in later_s] == [0, 86_400, 86_400, 2 * 86_400]


async def test_a_frozen_bucket_gives_one_at_its_end_and_then_its_rate(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="2/s", burst=5))
    await store.freeze("x", 10 * S, "")
    await store.submit(jobs(3, "j", needs=["x"]))

    statuses = await store.get(["j0", "j1", "j2"])

    assert [(status and status.reason, status and status.eta_s) for status in statuses] == [
        ("frozen", 10.0),
        ("frozen", 10.5),
        ("frozen", 11.0),
    ]


async def test_after_an_override_ends_the_numbers_of_the_code_count(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=1))
    await store.submit(jobs(50, "j", needs=["x"]))
    assert ids(await claim(store)) == ["j0"]
    assert await store.override("x", TokenBucket("x", rate="2/s", burst=1).to_json(), 5 * S, "it complains")

    statuses = await store.get(["j4", "j10", "j30", "j49"])

    for status, real_s in zip(statuses, (2.0, 5.0, 7.0, 8.9), strict=True):
        assert status is not None
        assert status.eta_s is not None
        assert abs(status.eta_s - real_s) <= 0.5, (status.eta_s, real_s)


async def test_a_window_that_ends_as_an_override_is_counted_by_the_code_again(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 10, per=1))
    await store.submit(jobs(300, "j", needs=["x"]))
    assert await store.override("x", SlidingWindow("x", 1, per=1).to_json(), 20 * S, "it complains")
    assert ids(await claim(store)) == ["j0"]

    statuses = await store.get(["j10", "j100", "j299"])

    for status, real_s in zip(statuses, (10.0, 28.0, 48.0), strict=True):
        assert status is not None
        assert status.eta_s is not None
        assert abs(status.eta_s - real_s) <= 1.1, (status.eta_s, real_s)


async def test_a_frozen_quota_gives_one_at_its_end_and_the_others_after_it(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 5, per="day"))
    await store.extend_calendar("day:UTC")
    await store.freeze("x", 10 * S, "")
    await store.submit(jobs(3, "j", needs=["x"]))

    statuses = await store.get(["j0", "j1", "j2"])
    assert [status and status.eta_s for status in statuses] == [10.0, 11.0, 11.0]

    clock.advance(10.5)
    assert ids(await claim(store)) == ["j0"]
    statuses = await store.get(["j1", "j2"])
    assert [status and status.eta_s for status in statuses] == [1.0, 1.0]


async def test_of_a_paused_limit_and_another_the_paused_one_is_named(store: JobStore) -> None:
    await publish(store, interval("a", every=7200), interval("b"))
    await store.submit([job(needs=["a"])])
    await store.pause("b", on=True, reason="")
    await store.submit([job("held", needs=["a", "b"])])

    (status,) = await store.get(["held"])

    assert status is not None
    assert (status.reason, status.limit, status.eta_s) == ("paused", "b", None)


async def test_a_high_priority_is_told_that_it_comes_first(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="10/s", burst=1))
    await store.submit(jobs(50, "n", needs=["x"]))
    await store.submit([job("high", needs=["x"], priority=Priority.high), job("low", needs=["x"], priority=Priority.low)])
    await claim(store)

    high, low = await store.get(["high", "low"])

    assert high is not None
    assert low is not None
    assert (high.position, high.eta_s) == (1, 0.1)
    assert low.position is not None
    assert 2 <= low.position <= 25  # it has its least share


async def test_a_slot_is_told_by_the_time_that_jobs_held_theirs(store: JobStore) -> None:
    await publish(store, Concurrency("gpu", 2))
    await store.submit(jobs(6, "j", needs=[slot("gpu")]))
    assert len(await claim(store)) == 2

    (status,) = await store.get(["j4"])

    assert status is not None
    assert (status.reason, status.position, status.eta_s) == ("concurrency", 3, None)  # no job has ended yet


async def test_a_window_of_many_starts_is_read_in_part(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 1000, per=1000))
    for at in range(0, 1000, 250):
        await store.submit(jobs(250, f"j{at}-", needs=["x"]))
        for number in range(250):
            clock.advance(1)
            assert len(await claim(store, 1)) == 1, number
    await store.submit(jobs(900, "w", needs=["x"]))

    statuses = await store.get(["w0", "w100", "w500", "w899"])

    for status, real_s in zip(statuses, (1, 101, 501, 900), strict=True):
        assert status is not None
        assert status.eta_s is not None
        assert abs(status.eta_s - real_s) <= max(real_s / 20, 2), (status.eta_s, real_s)


async def test_a_line_that_is_short_elsewhere_is_told_by_what_it_waits_for_there(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("fast", rate="1/s", burst=1), TokenBucket("slow", rate="6/min", burst=1))
    await store.submit([*jobs(6, "both", needs=["fast", "slow"]), *jobs(60, "one", needs=["fast"])])
    started = dict.fromkeys(ids(await claim(store)), 0.0)
    asked = ["both3", "one5", "one30", "one50"]
    told = {status.id: status.eta_s for status in await store.get(asked) if status is not None}
    for tick in range(1, 1_000):
        clock.advance(0.1)
        started |= dict.fromkeys(ids(await claim(store)), tick / 10)

    for name in asked:
        eta_s = told[name]
        assert eta_s is not None
        assert abs(eta_s - started[name]) <= max(started[name] / 5, 1), (name, eta_s, started[name])


async def test_slots_that_lines_of_one_limit_hold_come_back_to_one_of_two(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("gpu", 1), TokenBucket("api", rate="10/s", burst=1))
    await store.submit([*jobs(30, "one", needs=[slot("gpu")]), *jobs(5, "both", needs=["api", slot("gpu")])])
    for _ in range(5):
        (running,) = await claim(store)
        clock.advance(2)
        await store.finish("w", [succeeded(running)])
    await claim(store)

    (status,) = await store.get(["both3"])

    assert status is not None
    assert status.eta_s is not None
    assert 4 <= status.eta_s <= 20, status  # each second start is of the other line
