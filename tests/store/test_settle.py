"""Settling: what was really used is charged or given back once, with an accepted outcome, and never more than the bound allows."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.jobs.job import Ending, StartedJob
from runner.limits import Limit, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.starts import Starts
from tests.store.builders import Clock, claim, crash, end, fresh_store, ids, interval, job, jobs, publish
from tests.store.inside import bucket_state, field


async def start(store: JobStore, name: str, cost: int) -> StartedJob:
    await store.submit([job(name, needs=[("x", cost)])])
    (started,) = await claim(store)
    return started


@pytest.mark.parametrize("ending", [Ending.succeeded, Ending.failed, Ending.retry, Ending.returned, Ending.cancelled])
async def test_what_was_not_used_goes_back_whatever_the_ending(store: JobStore, ending: Ending) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=10))
    one = await start(store, "a", 8)
    other = await start(store, "b", 2)

    await end(store, one, ending, delay=60, settled="x=3")

    spent = 5_000_000 + (8_000_000 if ending is Ending.returned and await claim(store) else 0)
    assert (await bucket_state(store, "x")).deficit == spent
    await end(store, other)


async def test_what_was_used_beyond_the_estimate_is_charged_and_may_go_into_debt(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, refill=1, every=1))
    one = await start(store, "a", 2)

    await end(store, one, settled="x=8")

    assert (await bucket_state(store, "x")).deficit == 8
    await store.submit([job("next", needs=["x"])])
    clock.advance_us(3_999_999)
    assert await claim(store) == []
    clock.advance_us(1)
    assert ids(await claim(store)) == ["next"]


async def test_a_settlement_is_made_once(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=10))
    one = await start(store, "a", 8)

    assert [await end(store, one, settled="x=3") for _ in range(3)] == ["accepted", "repeated", "repeated"]
    assert [await end(store, one, settled="x=0") for _ in range(2)] == ["repeated", "repeated"]

    assert (await bucket_state(store, "x")).deficit == 3_000_000


@pytest.mark.parametrize("limit", [TokenBucket("x", rate="1/s", burst=10), SlidingWindow("x", 10, per=60)], ids=["bucket", "window"])
async def test_a_lost_attempt_settles_nothing(store: JobStore, limit: Limit) -> None:
    await publish(store, limit)
    late = await start(store, "a", 4)
    await crash(store)
    (again,) = await claim(store, worker="v")
    before = await field(store, "x", "deficit"), await field(store, "x", "used")

    assert await end(store, late, settled="x=0") == "stale"

    assert (await field(store, "x", "deficit"), await field(store, "x", "used")) == before
    assert again.attempt == 2


async def test_of_a_bucket_of_which_nothing_was_taken_nothing_goes_back(store: JobStore) -> None:
    await publish(store, interval("x", capacity=5), interval("y", capacity=5))
    await store.submit([job("other", needs=[("y", 3)])])
    await claim(store)
    one = await start(store, "a", 2)

    await end(store, one, settled="y=0;unknown=5;x=1")

    assert (await bucket_state(store, "y")).deficit == 3
    assert (await bucket_state(store, "x")).deficit == 1


async def test_a_refund_serves_those_who_wait_at_once(store: JobStore) -> None:
    await publish(store, interval("x", capacity=5, every=3_600))
    one = await start(store, "a", 5)
    await store.submit(jobs(3, needs=[("x", 2)]))
    assert await claim(store) == []

    await end(store, one, settled="x=1")

    assert ids(await claim(store)) == ["j0", "j1"]


async def test_a_charge_delays_those_who_wait(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, refill=5, every=10))
    one = await start(store, "a", 5)
    await store.submit([job("next", needs=["x"])])
    await end(store, one, settled="x=9")

    clock.advance(10)
    assert ids(await claim(store)) == ["next"]
    assert (await bucket_state(store, "x")).deficit == 5


@pytest.mark.parametrize("noted", [False, True])
async def test_nothing_goes_back_of_what_has_refilled_meanwhile(store: JobStore, clock: Clock, noted: bool) -> None:
    """Had the first not taken its five, the bucket would have been full at the second, and what refilled until then lost."""
    limit = interval("x", capacity=5, refill=1, every=1)
    await publish(store, limit)
    if noted:
        await end(store, await start(store, "before", 1), settled="x=0")
        clock.advance(10)
    one = await start(store, "a", 5)
    clock.advance(3)
    await start(store, "b", 3)

    await end(store, one, settled="x=0")

    assert (await bucket_state(store, "x")).refilled(limit, clock.now_us).deficit >= 3
    await store.submit(jobs(5, needs=["x"]))
    assert len(await claim(store)) <= 2


async def test_a_window_forgets_what_was_not_used_and_remembers_what_was_at_its_own_instant(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 10, per=60))
    one = await start(store, "a", 8)
    clock.advance(30)
    await end(store, one, settled="x=3")
    await store.submit([job("b", needs=[("x", 7)]), job("c", needs=[("x", 3)])])
    assert ids(await claim(store)) == ["b"]

    clock.advance_us(30_000_000)
    assert await claim(store) == []
    clock.advance_us(1)
    assert ids(await claim(store)) == ["c"]


async def test_a_window_charged_beyond_its_capacity_opens_when_that_has_passed(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 4, per=60))
    one = await start(store, "a", 2)
    await end(store, one, settled="x=9")
    await store.submit([job("b", needs=["x"])])

    clock.advance_us(60_000_000)
    assert await claim(store) == []
    clock.advance_us(1)
    assert ids(await claim(store)) == ["b"]


async def test_a_settlement_after_its_window_has_passed_changes_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("x", 4, per=60))
    one = await start(store, "a", 2)
    clock.advance(61)
    await store.submit([job("b", needs=["x"])])
    await claim(store)

    await end(store, one, settled="x=4")

    assert await field(store, "x", "used") == 1


async def test_each_of_many_refunds_gives_back_what_was_not_used(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/day", burst=100))
    for number in range(20):
        one = await start(store, f"j{number}", 50)
        clock.advance(0.01)
        await end(store, one, settled="x=1")
        clock.advance(1)

    (status,) = await store.limits()
    assert status.buckets[0].tokens in {79, 80}


LIMITS: list[TokenBucket | SlidingWindow] = [
    TokenBucket("x", rate="5/s", burst=6),
    TokenBucket("x", rate="7/3s", burst=12),
    interval("x", capacity=9, refill=4, every=1.5),
    interval("x", capacity=6, refill=1, every=0.4),
    SlidingWindow("x", 8, per=1.2),
]
# For each job: the gap before it, its estimate, what it uses (in eighths of that), and how long it runs.
plans = st.lists(
    st.tuples(st.integers(0, 900_000), st.integers(1, 9), st.integers(0, 8), st.integers(0, 5_000_000)), min_size=2, max_size=25
)


def most_over(limit: TokenBucket | SlidingWindow, uses: list[tuple[int, int]]) -> int:
    """By how many tokens of (instant, used) any closed window was over the bound."""
    if isinstance(limit, TokenBucket):
        starts = Starts()
        for at_us, tokens in uses:
            starts.add(at_us, tokens)
        return starts.excess(limit)
    return max(sum(used for at, used in uses if first <= at <= first + limit.window_us) - limit.capacity for first, _ in uses)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.sampled_from(LIMITS), plan=plans)
async def test_what_is_really_used_stays_within_the_bound_of_every_window(
    redis: Redis, redis_url: str, limit: TokenBucket | SlidingWindow, plan: list[tuple[int, int, int, int]]
) -> None:
    clock = Clock()
    async with fresh_store(redis, redis_url, clock) as store:
        await publish(store, limit)
        uses: list[tuple[int, int]] = []
        running: list[tuple[int, StartedJob, int]] = []

        async def play_until(target_us: int | None) -> None:
            """Start what can start and end what is due, from event to event."""
            while True:
                for ends_us, one, actual in [row for row in running if row[0] <= clock.now_us]:
                    running.remove((ends_us, one, actual))
                    assert await end(store, one, settled=f"x={actual}") == "accepted"
                _, next_us = await store.refill()
                for one in await claim(store):
                    _, wish, eighths, lasts_us = plan[int(one.id.removeprefix("j"))]
                    actual = min(wish, limit.capacity) * eighths // 8
                    uses.append((clock.now_us, actual))
                    running.append((clock.now_us + lasts_us, one, actual))
                _, next_us = await store.refill()
                events = [row[0] for row in running] + ([clock.now_us + max(next_us, 1)] if next_us >= 0 else [])
                if not events or (target_us is not None and min(events) > target_us):
                    clock.now_us = target_us or clock.now_us
                    return
                clock.now_us = max(min(events), clock.now_us)

        for number, (gap_us, cost, _, _) in enumerate(plan):
            await play_until(clock.now_us + gap_us)
            await store.submit([job(f"j{number}", needs=[("x", min(cost, limit.capacity))])])
        await play_until(None)

        assert len(uses) == len(plan)
        assert most_over(limit, uses) <= 0


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(costs=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 30)), min_size=1, max_size=12))
async def test_a_debt_is_paid_by_the_rate_to_the_microsecond(redis: Redis, redis_url: str, costs: list[tuple[int, int]]) -> None:
    clock, rate, burst = Clock(), Fraction(7, 3_000_000), 6
    async with fresh_store(redis, redis_url, clock) as store:
        await publish(store, TokenBucket("x", rate="7/3s", burst=burst, debt="kept"))
        spent, told_us = Fraction(0), clock.now_us
        for number, (cost, actual) in enumerate(costs):
            await store.submit([job(f"j{number}", needs=[("x", cost)])])
            while not (started := await claim(store)):
                clock.advance_us((await store.refill())[1])
            spent = max(spent - rate * (clock.now_us - told_us), Fraction(0))
            assert burst - spent >= cost  # not a microsecond too early
            assert burst - spent - rate < cost or told_us == clock.now_us or spent == 0 or clock.now_us == told_us
            told_us = clock.now_us
            spent += max(actual, cost)
            await end(store, started[0], settled=f"x={max(actual, cost)}")


@pytest.mark.parametrize(
    "limit",
    [interval("free", capacity=10, every=60), SlidingWindow("free", 10, per=60), Quota("free", 10, per="day")],
    ids=lambda limit: limit.kind,
)
@pytest.mark.parametrize("needs", [[], ["x"]], ids=["no limits", "another limit"])
async def test_a_bucket_of_which_nothing_was_taken_is_charged_what_was_used(store: JobStore, limit: Limit, needs: list[str]) -> None:
    await publish(store, limit, interval("x", capacity=10, every=60))
    await store.submit([job("a", needs=needs)])
    (one,) = await claim(store)

    assert [await end(store, one, settled="free=4") for _ in range(2)] == ["accepted", "repeated"]

    await store.submit(jobs(10, "after", needs=["free"]))
    assert len(await claim(store)) == 6
