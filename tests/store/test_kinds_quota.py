"""Quotas: a counter per calendar period, over daylight saving, months and a restless clock."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending
from runner.limits import Quota
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, finish_all, ids, job, jobs, publish
from tests.store.inside import field, forgotten_at, states

DAY_US = 86_400_000_000


def at(clock: Clock, text: str, tz: str = "UTC") -> None:
    """Set the clock to a time on the wall of that zone."""
    clock.now_us = round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("now", "tz", "hours"),
    [
        ("2097-03-31T00:00:00", "Europe/Berlin", 23),  # the clocks go forward
        ("2097-10-27T00:00:00", "Europe/Berlin", 25),  # and back
        ("2097-06-01T00:00:00", "Europe/Berlin", 24),
        ("2097-06-01T00:00:00", "Asia/Kathmandu", 24),
        ("2097-10-27T00:00:00", "Atlantic/Azores", 25),  # midnight comes twice
        ("2097-03-31T00:00:00", "Africa/Cairo", 24),
        ("2097-03-10T01:00:00", "America/Havana", 23),  # there is no midnight
    ],
)
async def test_a_day_is_from_midnight_to_midnight(store: JobStore, clock: Clock, now: str, tz: str, hours: int) -> None:
    at(clock, now, tz)
    begin_us = clock.now_us
    await publish(store, Quota("x", 2, per="day", tz=tz))
    await store.submit(jobs(6, needs=["x"]))
    assert len(await claim(store)) == 2

    assert (await store.refill())[1] == hours * 3_600_000_000
    clock.now_us = begin_us + hours * 3_600_000_000 - 1
    assert await claim(store) == []
    clock.advance_us(1)
    assert len(await claim(store)) == 2


@pytest.mark.parametrize(
    ("per", "now", "then"),
    [
        ("hour", "2097-10-27T02:30:00", "2097-10-27T03:00:00"),
        ("week", "2097-05-08T15:00:00", "2097-05-13T00:00:00"),  # a Wednesday; weeks begin on Monday
        ("month", "2098-02-28T23:59:59", "2098-03-01T00:00:00"),
        ("month", "2096-02-28T12:00:00", "2096-03-01T00:00:00"),
        ("year", "2097-12-31T00:00:00", "2098-01-01T00:00:00"),
    ],
)
async def test_a_period_ends_when_the_calendar_says(store: JobStore, clock: Clock, per: str, now: str, then: str) -> None:
    at(clock, now)
    await publish(store, Quota("x", 1, per=per))  # type: ignore[arg-type] # a table of plain texts
    await store.submit(jobs(3, needs=["x"]))
    assert len(await claim(store)) == 1

    at(clock, then)
    clock.advance_us(-1)
    assert await claim(store) == []
    clock.advance_us(1)
    assert len(await claim(store)) == 1


async def test_no_period_exceeds_its_quota_through_a_year(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-01-01T00:00:00", "America/New_York")
    await publish(store, Quota("x", 3, per="day", tz="America/New_York"))
    started: Counter[object] = Counter()
    for number in range(150):
        await store.submit(jobs(9, f"r{number}-", needs=["x"]))
        for _ in range(2):
            running = await claim(store)
            started[datetime.fromtimestamp(clock.now_us / 1e6, UTC).astimezone(ZoneInfo("America/New_York")).date()] += len(running)
            await finish_all(store, running)
        clock.advance_us(DAY_US * 2 // 3)

    assert max(started.values()) == 3
    assert sum(started.values()) == 3 * len(started)


async def test_a_quota_that_is_spent_fails_its_jobs_if_that_is_asked_for(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 2, per="month", on_exhausted="fail"))
    assert await store.submit(jobs(2, needs=["x"])) == ["queued"] * 2
    running = await claim(store)

    assert await store.submit([job("late", needs=["x"])]) == ["failed"]

    (status,) = await store.get(["late"])
    assert status is not None
    assert status.error
    assert status.error.type == "quota_exhausted"
    assert await store.retry("late") == "failed"
    assert await end(store, running[0], Ending.returned) == "accepted"
    assert await states(store, ["j0"]) == ["failed"]  # what it had taken is spent, and there is no more


async def test_jobs_in_line_fail_when_the_last_of_a_quota_goes(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 2, per="day", on_exhausted="fail"))
    await store.pause("x", on=True, reason="")
    assert await store.submit(jobs(4, needs=["x"])) == ["waiting"] * 4
    await store.pause("x", on=False, reason="")

    assert ids(await claim(store)) == ["j0", "j1"]
    await store.refill()
    assert await states(store, ["j2", "j3"]) == ["failed", "failed"]


async def test_a_start_that_never_was_gives_back_in_its_own_period_only(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-05-01T23:00:00")
    await publish(store, Quota("x", 2, per="day"))
    await store.submit(jobs(6, needs=["x"]))
    assert len(await claim(store)) == 2
    await store.reconcile("w", [])
    assert len(await claim(store)) == 2

    clock.advance(3_600)
    assert len(await claim(store, worker="v")) == 2
    assert await store.reconcile("w", []) == 2
    assert await claim(store) == []


async def test_a_settlement_counts_for_the_period_of_its_start(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-05-01T23:00:00")
    await publish(store, Quota("x", 10, per="day"))
    await store.submit([job("a", needs=[("x", 6)]), job("b", needs=[("x", 4)])])
    first, second = await claim(store)
    await end(store, first, settled="x=1")
    assert await field(store, "x", "used") == 5

    clock.advance(3_600)
    await store.submit([job("c", needs=[("x", 2)])])
    await claim(store)
    await end(store, second, settled="x=9")
    assert await field(store, "x", "used") == 2


async def test_the_clock_going_back_over_midnight_gives_no_second_quota(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-05-01T23:59:59")
    await publish(store, Quota("x", 2, per="day"))
    assert (await store.take("take:a", "x=2", "x")).state == "taken"
    clock.advance(1)
    assert (await store.take("take:b", "x=2", "x")).state == "taken"

    for number, seconds in enumerate((-1, 1, -1, 1)):
        clock.advance(seconds)
        assert (await store.take(f"take:{number}", "x=1", "x")).state == "refused"
    clock.advance_us(DAY_US)
    assert (await store.take("take:c", "x=2", "x")).state == "taken"


async def test_a_lost_worker_gives_nothing_back(store: JobStore) -> None:
    await publish(store, Quota("x", 2, per="day"))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)

    await crash(store)

    assert await claim(store) == []


async def test_a_capacity_lowered_below_what_is_spent_waits_for_the_period(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-05-01T12:00:00")
    await publish(store, Quota("x", 5, per="day"))
    await store.submit([*jobs(4, needs=["x"]), job("costly", needs=[("x", 4)]), job("next", needs=["x"])])
    await finish_all(store, await claim(store))
    await publish(store, Quota("x", 2, per="day"))

    for day, names in ((2, ["costly"]), (3, ["next"])):
        assert await claim(store) == []
        at(clock, f"2097-05-0{day}T00:00:00")
        assert ids(await claim(store)) == names


async def test_without_a_calendar_nothing_passes_and_with_one_it_goes_on(store: JobStore, clock: Clock) -> None:
    await publish(store, Quota("x", 2, per="day"))
    await command(store.redis, "DEL", store.keys.periods("day:UTC"))
    await store.submit(jobs(3, needs=["x"]))
    assert await claim(store) == []

    await store.extend_calendar("day:UTC")
    clock.advance(1)

    assert len(await claim(store)) == 2


async def test_a_calendar_replaces_the_one_before_as_the_tz_database_may_have_changed(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-05-01T12:00:00")
    await publish(store, Quota("x", 1, per="day"))
    former_us = clock.now_us + 3_600 * 1_000_000
    await command(store.redis, "ZADD", store.keys.periods("day:UTC"), former_us, former_us)

    await store.extend_calendar("day:UTC")

    await store.submit(jobs(2, needs=["x"]))
    assert len(await claim(store)) == 1
    clock.advance(3_601)
    assert await claim(store) == []


async def test_the_counter_is_forgotten_after_its_period_and_the_calendar_after_its_last(store: JobStore, clock: Clock) -> None:
    at(clock, "2097-05-01T12:00:00")
    await publish(store, Quota("x", 2, per="day"))
    await store.submit(jobs(1, needs=["x"]))
    await finish_all(store, await claim(store))

    end_ms = round(datetime(2097, 5, 2, tzinfo=UTC).timestamp()) * 1000 - 4_000_000_000_000
    forgotten = await forgotten_at(store, store.keys.bucket("x"))
    assert forgotten is not None
    assert end_ms < forgotten <= end_ms + 6_001
    calendar = await forgotten_at(store, store.keys.periods("day:UTC"))
    assert calendar is not None
    assert calendar == end_ms + 399 * 86_400_000


async def test_each_key_has_its_own_quota(store: JobStore) -> None:
    await publish(store, Quota("x", 1, per="day", key="{id}"))
    await store.submit([job(f"{key}{number}", needs=[f"x/{key}"]) for key in "ab" for number in range(2)])

    assert sorted(ids(await claim(store))) == ["a0", "b0"]


async def test_with_a_jitter_nothing_starts_shortly_before_the_end_of_a_period(store: JobStore, clock: Clock) -> None:
    """The provider could count it in the next one, which has jobs of its own."""
    at(clock, "2097-06-01T00:00:00")
    await publish(store, Quota("x", 5, per="day", jitter=0.25))
    await store.submit(jobs(3, needs=["x"]))
    clock.advance_us(DAY_US - 250_001)
    assert len(await claim(store, 1)) == 1

    clock.advance_us(1)
    assert await claim(store) == []
    clock.advance_us(249_999)
    assert await claim(store) == []
    clock.advance_us(1)
    assert len(await claim(store)) == 2
