"""Budgets: what is spent of a quota with a unit is counted by task, key and day, as it was in the end; and somebody is told in time."""

from datetime import UTC, date, datetime

import pytest

from runner.client.spending import spending
from runner.connection.client import command
from runner.errors import ConfigurationError, UnknownLimit
from runner.jobs.history import row_of
from runner.jobs.job import Ending, Outcome
from runner.limits import Quota, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, finish_all, job, make_store, publish
from tests.store.inside import field
from tests.store.test_history import HOUR, roll_all, sums

USD = Quota("usd", 100_00, per="month", unit="USD", scale=2)
BY_TENANT = Quota("plan", 10_00, per="month", key="{t}", unit="EUR", scale=2)
DAY_S = 86_400


def today(clock: Clock) -> date:
    return datetime.fromtimestamp(clock.now_us / 1e6, UTC).date()


async def spent(store: JobStore, limit: str = "usd", by: str = "task", since: object = "30d") -> dict[str | None, int]:
    return {row.name: row.tokens for row in (await spending(store, limit, by, since)).rows}


async def told(store: JobStore, has_hooks: bool = True) -> list[tuple[str, float, int, int]]:
    return [(one.bucket, one.share, one.spent, one.capacity) for one in await store.warnings(has_hooks=has_hooks)]


async def test_what_is_spent_is_counted_by_task_and_corrected_by_what_was_settled(store: JobStore) -> None:
    await publish(store, USD)
    await store.submit([job("a", task="draw", needs=[("usd", 10_00)]), job("b", task="write", needs=[("usd", 2_00)])])
    await store.take("take:x", "usd=50", "1|usd")
    first, second = await claim(store)

    assert await spent(store) == {"draw": 10_00, "write": 2_00, None: 50}
    await end(store, first, settled="usd=1234")
    await end(store, second, settled="usd=0")

    assert await spent(store) == {"draw": 12_34, None: 50, "write": 0}
    assert await field(store, "usd", "used") == 12_84
    found = await spending(store, "usd", "day", "1d")
    assert (found.total, found.unit.words(found.total)) == (12_84, "12.84 USD")


async def test_the_history_of_every_limit_tells_what_was_settled_in_the_minute_of_the_start(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=100))
    await store.submit([job("a", needs=[("x", 10)]), job("b", needs=[("x", 10)])])
    first, second = await claim(store)
    clock.advance(90)
    await roll_all(store)
    await end(store, first, settled="x=4")
    await end(store, second, settled="x=13")
    await roll_all(store)

    assert {letter: number for letter, number in (await sums(store, "l:x")).items() if letter in "tke"} == {"t": 2, "k": 18, "e": -3}
    kept = await store.history(["l:x"], HOUR, HOUR + 1, by_minute=True)
    (cells,) = [cells for cells in kept.rows["l:x"].values() if cells["t"]]
    row = row_of(0, cells)
    assert (row.taken, row.settled, row.spent) == (20, -3, 17)


async def test_a_start_that_settles_nothing_costs_the_history_nothing(store: JobStore) -> None:
    await publish(store, USD)
    await store.submit([job(needs=[("usd", 3)])])
    await finish_all(store, await claim(store))

    assert "e" not in await sums(store, "l:usd")


async def test_a_start_that_never_began_has_spent_nothing(store: JobStore) -> None:
    await publish(store, USD)
    await store.submit([job("a", needs=[("usd", 3_00)])])
    await claim(store)
    await store.reconcile("w", ())

    assert await field(store, "usd", "used") == 0
    assert await spent(store) == {"work": 0}
    assert (await sums(store, "l:usd"))["e"] == -300


async def test_a_job_whose_worker_was_lost_is_paid_for_twice(store: JobStore) -> None:
    await publish(store, USD)
    await store.submit([job("a", needs=[("usd", 3_00)])])
    await claim(store)
    await crash(store)
    (again,) = await claim(store, worker="v")
    assert await store.finish("v", [Outcome(again, Ending.succeeded, b"1", 0, 60_000, "usd=100")]) == ["accepted"]

    assert await spent(store) == {"work": 4_00}


async def test_an_outcome_that_is_sent_twice_is_spent_once(store: JobStore) -> None:
    await publish(store, USD)
    await store.submit([job("a", needs=[("usd", 3_00)])])
    (one,) = await claim(store)

    assert [await end(store, one, settled="usd=500") for _ in range(3)] == ["accepted", "repeated", "repeated"]

    assert await spent(store) == {"work": 5_00}


async def test_each_day_has_its_own_and_what_is_settled_late_counts_on_the_day_of_the_start(store: JobStore, clock: Clock) -> None:
    await publish(store, BY_TENANT)
    begun = today(clock)
    await store.submit([job("a", needs=[("plan/t1", 3_00)]), job("b", needs=[("plan/t2", 1_00)])])
    first, second = await claim(store)
    clock.advance(DAY_S)
    await store.submit([job("c", needs=[("plan/t1", 50)])])
    (third,) = await claim(store)
    await end(store, first, settled="plan/t1=250")
    await finish_all(store, [second, third])

    found = await spending(store, "plan", "key", "2d")
    assert [(row.name, dict(row.days)) for row in found.rows] == [
        ("t1", {begun: 2_50, today(clock): 50}),
        ("t2", {begun: 1_00}),
    ]
    assert await spent(store, "plan", "day") == {begun.isoformat(): 3_50, today(clock).isoformat(): 50}
    assert await spent(store, "plan", "day", 1) == {today(clock).isoformat(): 50}


async def test_keys_beyond_a_thousand_in_a_day_are_counted_together(store: JobStore) -> None:
    await publish(store, BY_TENANT)
    key = store.keys.spent("plan", (await store.history_now_us()) // 86_400_000_000)
    await command(store.redis, "HSET", key, *(word for n in range(1_000) for word in (f"k:t{n}", 1)))
    await command(store.redis, "EXPIRE", key, DAY_S)
    await store.submit([job("a", needs=[("plan/new", 5)]), job("b", needs=[("plan/newer", 6)]), job("c", needs=[("plan/t7", 7)])])
    await claim(store)

    found = await spent(store, "plan", "key")

    assert (found["t7"], found[None], "new" in found, sum(found.values())) == (8, 11, False, 1_018)


async def test_what_was_spent_is_forgotten_by_itself(store: JobStore) -> None:
    await publish(store, USD)
    await store.submit([job(needs=[("usd", 3)])])
    await claim(store)

    key = store.keys.spent("usd", (await store.history_now_us()) // 86_400_000_000)
    assert 62 * DAY_S < int(await command(store.redis, "TTL", key)) <= 63 * DAY_S


async def test_a_quota_without_a_unit_writes_nothing_of_that(store: JobStore) -> None:
    await publish(store, Quota("x", 10, per="month"))
    await store.submit([job(needs=["x"])])
    await claim(store)

    assert await command(store.redis, "KEYS", f"{store.keys.prefix}spent:*") == []
    with pytest.raises(ConfigurationError, match="limit 'x' is no budget"):
        await spending(store, "x", "task", "1d")


async def test_without_a_history_nothing_is_counted(store: JobStore, clock: Clock, redis_url: str) -> None:
    quiet = make_store(redis_url, store.keys.queue, clock, record_history=False)
    await publish(store, USD)
    await store.submit([job(needs=[("usd", 3)])])
    (one,) = await claim(quiet)
    await end(quiet, one, settled="usd=9")

    assert await spent(store) == {}
    await quiet.close()


async def test_a_key_that_was_damaged_by_hand_refuses_no_job(store: JobStore) -> None:
    await publish(store, USD)
    day = (await store.history_now_us()) // 86_400_000_000
    await command(store.redis, "SET", store.keys.spent("usd", day), "broken")
    await store.submit([job(needs=[("usd", 3)])])
    (one,) = await claim(store)

    assert await end(store, one, settled="usd=9") == "accepted"
    assert await spent(store) == {}
    await command(store.redis, "DEL", store.keys.spent("usd", day))


@pytest.mark.parametrize(
    ("limit", "by", "since", "error", "message"),
    [
        ("none", "task", "1d", UnknownLimit, "unknown limit 'none'"),
        ("usd", "key", "1d", ConfigurationError, "limit 'usd' has no key"),
        ("usd", "tenant", "1d", ConfigurationError, "'tenant'"),
        ("usd", "task", "63d", ConfigurationError, "it is kept for 62 days"),
        ("usd", "task", "soon", ConfigurationError, "soon"),
    ],
)
async def test_what_cannot_be_told_is_refused(
    store: JobStore, limit: str, by: str, since: str, error: type[Exception], message: str
) -> None:
    await publish(store, USD)
    with pytest.raises(error, match=message):
        await spending(store, limit, by, since)


async def test_a_budget_that_settling_overdraws_is_in_debt_until_its_period_ends_and_begins_anew_then(
    store: JobStore, clock: Clock
) -> None:
    await publish(store, Quota("usd", 10_00, per="day", unit="USD", scale=2))
    await store.submit([job("a", needs=[("usd", 9_00)]), job("next", needs=[("usd", 1)])])
    (one, small) = await claim(store)
    await end(store, one, settled="usd=1500")
    await end(store, small)
    await store.submit([job("later", needs=[("usd", 1)])])

    assert await field(store, "usd", "used") == 15_01
    assert await claim(store) == []
    (status,) = await store.limits()
    assert status.policy.left_words(status.buckets[0].tokens) == "0.00 of 10.00 USD"
    clock.advance((await store.refill())[1] / 1e6)
    assert [one.id for one in await claim(store)] == ["later"]
    assert await field(store, "usd", "used") == 1


# Warnings


WARNS = Quota("usd", 10_00, per="day", unit="USD", scale=2, warn_at=(0.8, 1))


async def take(store: JobStore, tokens: int, bucket: str = "usd") -> None:
    await store.take(f"take:{bucket}:{tokens}", f"{bucket}={tokens}", f"1|{bucket}")


async def test_each_share_is_told_of_once_a_period(store: JobStore, clock: Clock) -> None:
    await publish(store, WARNS)
    await take(store, 7_99)
    assert await told(store) == []
    await take(store, 1)
    await take(store, 1_00)
    (warning,) = await store.warnings(has_hooks=True)
    assert (warning.bucket, warning.share, warning.spent, warning.capacity) == ("usd", 0.8, 8_00, 10_00)
    assert str(warning).startswith("usd: 8.00 of 10.00 USD are spent, 80%; the next period begins on ")
    await take(store, 1_00)
    (other,) = await store.warnings(has_hooks=True, told=[warning])
    assert (other.share, other.spent) == (1.0, 10_00)
    assert await store.warnings(has_hooks=True, told=[other]) == []

    clock.advance(DAY_S)
    await take(store, 9_00)
    assert await told(store) == [("usd", 0.8, 9_00, 10_00)]


async def test_one_start_that_reaches_several_shares_tells_of_each(store: JobStore) -> None:
    await publish(store, WARNS)
    await take(store, 10_00)

    assert sorted(await told(store)) == [("usd", 0.8, 10_00, 10_00), ("usd", 1.0, 10_00, 10_00)]


async def test_settling_reaches_a_share_too_and_what_goes_back_tells_of_none_again(store: JobStore) -> None:
    await publish(store, WARNS)
    await store.submit([job("a", needs=[("usd", 1_00)]), job("b", needs=[("usd", 5_00)]), job("c", needs=[("usd", 2_00)])])
    one, other, third = await claim(store)
    (first,) = await store.warnings(has_hooks=True)
    await end(store, other, settled="usd=0")
    await end(store, third, settled="usd=900")
    (second,) = await store.warnings(has_hooks=True, told=[first])
    assert (first.share, first.spent, second.share, second.spent) == (0.8, 8_00, 1.0, 10_00)
    await end(store, one, settled="usd=5000")

    assert await store.warnings(has_hooks=True, told=[second]) == []


async def test_a_larger_budget_warns_when_its_own_share_is_reached(store: JobStore) -> None:
    await publish(store, Quota("usd", 10_00, per="day", warn_at=0.8))
    await take(store, 8_00)
    (first,) = await store.warnings(has_hooks=True)
    await store.override("usd", Quota("usd", 20_00, per="day", warn_at=0.8).to_json(), 0, "")
    await take(store, 2_00)
    assert await store.warnings(has_hooks=True, told=[first]) == []
    await take(store, 6_00)

    assert await told(store) == [("usd", 0.8, 16_00, 20_00)]


async def test_a_budget_that_is_reset_warns_again(store: JobStore) -> None:
    await publish(store, WARNS)
    await take(store, 8_00)
    (first,) = await store.warnings(has_hooks=True)
    await store.reset("usd", "")
    await take(store, 9_00)

    assert [one.spent for one in await store.warnings(has_hooks=True, told=[first])] == [9_00]


async def test_each_key_has_its_own_warning(store: JobStore) -> None:
    await publish(store, Quota("plan", 10, per="day", key="{t}", warn_at=0.5))
    for tenant in ("t1", "t2"):
        await take(store, 5, f"plan/{tenant}")

    found = await store.warnings(has_hooks=True)
    assert sorted((one.limit, one.key, one.unit) for one in found) == [("plan", "t1", None), ("plan", "t2", None)]


async def test_a_warning_that_its_worker_never_told_is_told_by_another(store: JobStore, clock: Clock) -> None:
    await publish(store, WARNS)
    await take(store, 8_00)
    assert len(await told(store)) == 1
    assert await told(store) == []
    clock.advance(29)
    assert await told(store) == []
    clock.advance(1)
    assert len(await told(store)) == 1
    clock.advance(30)
    assert len(await told(store)) == 1
    clock.advance(59)
    assert await told(store) == []
    clock.advance(DAY_S)
    assert await told(store) == []
    assert await command(store.redis, "EXISTS", store.keys.warnings) == 0


async def test_a_worker_without_hooks_takes_what_no_other_has_within_a_minute(store: JobStore, clock: Clock) -> None:
    await publish(store, WARNS, Quota("other", 10, per="day", warn_at=0.5))
    await take(store, 8_00)
    assert len(await told(store)) == 1
    await take(store, 5, "other")
    clock.advance(59)
    assert await told(store, has_hooks=False) == []
    clock.advance(1)

    assert await told(store, has_hooks=False) == [("other", 0.5, 5, 10)]
    assert await told(store, has_hooks=False) == []


async def test_a_warning_has_one_line_in_the_audit_however_often_it_is_taken(store: JobStore, clock: Clock) -> None:
    await publish(store, WARNS)
    await take(store, 8_00)
    await told(store)
    clock.advance(30)
    await told(store)

    (line,) = await store.audit("-", 10)
    assert (line.by, line.action, line.target, line.door) == ("budget", "budget warning", "limit usd", "leader")
    assert line.after.startswith('{"share":0.8,"spent":800,"capacity":1000,')


async def test_many_warnings_are_taken_page_by_page(store: JobStore) -> None:
    await publish(store, Quota("plan", 10, per="day", key="{t}", warn_at=0.5))
    await store.submit([job(f"j{n}", needs=[(f"plan/t{n}", 5)]) for n in range(250)])
    while await claim(store):
        pass

    pages = [await store.warnings(has_hooks=True)]
    while pages[-1]:
        pages.append(await store.warnings(has_hooks=True, told=pages[-1]))
    assert len({one.bucket for page in pages for one in page}) == 250
