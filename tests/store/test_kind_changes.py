"""A limit that becomes one of another kind, and back: what is held stays held and comes back, what is spent is remembered, nothing is stuck."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import Ending, StartedJob
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.leftovers import HELD_BY_JOBS
from tests.store.builders import PLAIN_ENDINGS, Clock, claim, crash, end, finish_all, fresh_store, ids, interval, job, jobs, publish, slot
from tests.store.inside import all_keys, expires_at_ms, field, forgotten_at, scores

SLOTS = Concurrency("x", 2)
BUCKET = interval("x", capacity=4, refill=1, every=100)
WINDOW = SlidingWindow("x", 3, per=50)
QUOTA = Quota("x", 5, per="month")
KINDS: dict[str, Limit] = {"slots": SLOTS, "bucket": BUCKET, "window": WINDOW, "quota": QUOTA}
SPENDING: dict[str, Limit] = {name: KINDS[name] for name in ("bucket", "window", "quota")}


async def held(store: JobStore, bucket: str = "x") -> dict[str, int]:
    """The holders of slots, and what each holds; their sum must agree, wherever it is kept."""
    members = [member.partition(":") for member in await scores(store, store.keys.holders(bucket))]
    is_slots = await command(store.redis, "HGET", store.keys.bucket(bucket), "kind") == b"concurrency"
    assert await field(store, bucket, "used" if is_slots else "concurrency.used") == sum(int(cost) for cost, _, _ in members)
    return {holder: int(cost) for cost, _, holder in members}


async def tokens(store: JobStore) -> int:
    (status,) = await store.limits("x")
    return status.buckets[0].tokens


@pytest.mark.parametrize("between", SPENDING)
async def test_slots_held_through_another_kind_come_back_once(store: JobStore, between: str) -> None:
    await publish(store, SLOTS)
    await store.submit(jobs(4, needs=[slot("x")]))
    first, second = await claim(store)

    await publish(store, KINDS[between])
    assert await held(store) == {"j0#1": 1, "j1#1": 1}
    assert await forgotten_at(store, store.keys.bucket("x")) is None
    await end(store, first)
    assert await held(store) == {"j1#1": 1}
    await publish(store, SLOTS)

    (third,) = await claim(store)
    assert third.id in {"j2", "j3"}
    await finish_all(store, [second, third])
    await finish_all(store, await claim(store))
    assert await held(store) == {}
    assert [key for key in await all_keys(store) if ":holders:" in key] == []


@pytest.mark.parametrize("between", SPENDING)
@pytest.mark.parametrize("ending", [*PLAIN_ENDINGS, "crash", "reconcile"])
async def test_a_slot_comes_back_however_its_job_ends_whatever_the_kind_is_by_then(
    store: JobStore, between: str, ending: Ending | str
) -> None:
    await publish(store, SLOTS)
    await store.submit(jobs(1, needs=[slot("x")]))
    (one,) = await claim(store)
    await publish(store, KINDS[between])

    if ending == "crash":
        await crash(store)
    elif ending == "reconcile":
        await store.reconcile("w", [])
    else:
        for _ in range(2):
            await end(store, one, Ending(ending), delay=5, freeze="x" if ending is Ending.throttled else "")

    assert await held(store) == {}
    assert (
        ending is Ending.throttled or await tokens(store) == KINDS[between].capacity
    )  # nothing was taken of this kind, and nothing is given back to it


@pytest.mark.parametrize("former", SPENDING)
@pytest.mark.parametrize("between", KINDS)
async def test_what_was_spent_is_still_spent_when_the_kind_comes_back(store: JobStore, clock: Clock, former: str, between: str) -> None:
    await publish(store, KINDS[former])
    await store.submit(jobs(2, needs=["x"]))
    await finish_all(store, await claim(store))
    clock.advance(1)

    await publish(store, KINDS[between])
    await store.limits()
    clock.advance(1)
    await publish(store, KINDS[former])

    assert await tokens(store) == KINDS[former].capacity - 2


@pytest.mark.parametrize("former", SPENDING)
async def test_what_has_come_back_meanwhile_is_there_when_the_kind_comes_back(store: JobStore, clock: Clock, former: str) -> None:
    await publish(store, KINDS[former])
    await store.submit(jobs(3, needs=["x"]))
    await finish_all(store, await claim(store))

    await publish(store, Concurrency("x", 9))
    await store.submit([job("long", needs=[slot("x")])])
    (long,) = await claim(store)
    clock.advance(40 * 86_400)
    await publish(store, KINDS[former])

    assert await tokens(store) == KINDS[former].capacity
    await store.submit(jobs(2, "more", needs=["x"]))
    assert len(await claim(store)) == 2
    await finish_all(store, [long])


async def test_what_is_put_away_is_kept_as_long_as_it_counts(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await store.submit(jobs(2, needs=["x"]))
    await finish_all(store, await claim(store))

    await publish(store, SLOTS)

    kept_ms = await forgotten_at(store, store.keys.bucket("x"))
    assert kept_ms is not None
    assert 200_000 <= kept_ms <= 200_000 + 20_000
    clock.advance(100)
    await store.submit(jobs(1, "slot", needs=[slot("x")]))
    await finish_all(store, await claim(store))
    await publish(store, BUCKET)
    assert await tokens(store) == 3


@pytest.mark.parametrize("now", SPENDING)
@pytest.mark.parametrize("former", SPENDING)
async def test_a_start_under_another_kind_is_neither_settled_nor_refunded(store: JobStore, clock: Clock, former: str, now: str) -> None:
    if former == now:
        return
    await publish(store, KINDS[former])
    await store.submit(jobs(2, "old", needs=["x"]))
    settled, lost = await claim(store)
    clock.advance(1)
    await publish(store, KINDS[now])
    await store.submit([job("new", needs=[("x", 3)])])
    (new,) = await claim(store)
    before = await tokens(store)

    await end(store, settled, settled="x=9")
    await store.reconcile("w", [new])

    assert await tokens(store) == before == KINDS[now].capacity - 3
    assert lost.id == "old1"


async def test_a_keyed_bucket_gives_back_its_slots_under_another_kind(store: JobStore) -> None:
    await publish(store, Concurrency("x", 1, key="{id}"))
    await store.submit([job("a", needs=[slot("x/a")]), job("b", needs=[slot("x/b")])])
    running = await claim(store)
    await publish(store, TokenBucket("x", rate="1/s", burst=5, key="{id}"))

    await finish_all(store, running)

    assert await held(store, "x/a") == await held(store, "x/b") == {}
    assert [key for key in await all_keys(store) if ":holders:" in key] == []
    assert await forgotten_at(store, store.keys.bucket("x/a")) is not None


@pytest.mark.parametrize("unknown", ["gone from the catalog", "of a kind that only newer versions know"])
async def test_a_slot_of_a_limit_nobody_knows_comes_back(store: JobStore, redis: Redis, unknown: str) -> None:
    await publish(store, SLOTS)
    await store.submit(jobs(2, needs=[slot("x")]))
    first, second = await claim(store)
    if unknown == "gone from the catalog":
        await redis.hdel(store.keys.limits, "x")
    else:
        entry = await command(store.redis, "HGET", store.keys.limits, "x")
        await redis.hset(store.keys.limits, "x", entry.replace(b'"kind":"concurrency"', b'"kind":"spaced"'))

    await end(store, first)
    assert await held(store) == {"j1#1": 1}
    await end(store, second, Ending.failed)

    assert await held(store) == {}
    await publish(store, Concurrency("x", 1))
    await store.submit(jobs(2, "more", needs=[slot("x")]))
    running = await claim(store)
    assert len(running) == 1
    await finish_all(store, running)
    await finish_all(store, await claim(store))


async def test_a_job_that_waited_through_a_change_holds_what_the_kind_of_its_start_says(store: JobStore) -> None:
    await publish(store, SLOTS)
    await store.submit(jobs(4, needs=[slot("x")]))
    running = await claim(store)
    await publish(store, interval("x", capacity=1, every=10))

    (third,) = await claim(store)

    assert (third.limits, sorted(await held(store))) == ("x=1", ["j0#1", "j1#1"])
    await finish_all(store, [*running, third])


async def test_a_slot_of_a_ticket_lapses_under_another_kind_and_cannot_be_held_on(store: JobStore, clock: Clock) -> None:
    await publish(store, SLOTS)
    assert (await store.take("take:a", "x=1!", "x", lapse_us=10_000_000)).state == "taken"
    await publish(store, BUCKET)
    assert await store.hold("take:a", "x=1!", 10_000_000) == 1
    assert await forgotten_at(store, store.keys.holders("x")) == 15_000

    clock.advance(11)
    assert await store.hold("take:a", "x=1!", 10_000_000) == 0
    await publish(store, SLOTS)

    assert await tokens(store) == 2


async def test_a_freeze_is_kept_through_a_change_of_kind_with_its_probe(store: JobStore, clock: Clock) -> None:
    await publish(store, BUCKET)
    await store.freeze("x", 10_000_000, "test")
    await store.submit(jobs(3, needs=["x"]))
    await publish(store, SLOTS)

    clock.advance_us(9_999_999)
    assert await claim(store) == []
    clock.advance_us(1)
    (probe,) = await claim(store)
    assert await claim(store) == []
    await finish_all(store, [probe])
    assert ids(await claim(store)) == ["j1", "j2"]


steps = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "submit", "end", "end", "crash", "reconcile", "change", "change", "time"]), st.integers(0, 3)
    ),
    min_size=4,
    max_size=25,
)
SUM = {b"concurrency": "used"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=steps, key=st.sampled_from(["", "/k"]))
async def test_through_any_changes_of_kind_the_holders_are_the_running_jobs_that_give_back(
    redis: Redis, redis_url: str, plan: list[tuple[str, int]], key: str
) -> None:
    kinds: list[Limit] = [
        Concurrency("x", 2, key="{id}" if key else None),
        TokenBucket("x", rate="1/s", burst=3, key="{id}" if key else None),
        SlidingWindow("x", 3, per=4, key="{id}" if key else None),
        Quota("x", 30, per="day", key="{id}" if key else None),
    ]
    clock, bucket = Clock(), f"x{key}"
    async with fresh_store(redis, redis_url, clock, max_crashes=50) as store:
        await publish(store, kinds[0])
        running: list[StartedJob] = []
        submitted = 0
        for action, choice in plan:
            if action == "submit":
                await store.submit([job(f"j{submitted}", needs=[slot(bucket) if choice % 2 else bucket])])
                submitted += 1
            elif action == "claim":
                running += await claim(store, free=choice + 1)
            elif action == "end" and running:
                await end(
                    store, running.pop(choice % len(running)), [Ending.succeeded, Ending.retry, Ending.returned, Ending.failed][choice]
                )
            elif action == "crash":
                await crash(store)
                running.clear()
            elif action == "reconcile":
                running = running[: len(running) // 2]
                await claim(store, free=0)
                await store.reconcile("w", running)
            elif action == "change":
                await publish(store, kinds[choice])
            else:
                clock.advance(choice)
                await store.promote()
            members = await scores(store, store.keys.holders(bucket))
            assert min(members.values(), default=HELD_BY_JOBS) >= HELD_BY_JOBS
            assert {member.partition(":")[2] for member in members} == {
                f"{one.id}#{one.attempt}" for one in running if one.limits.endswith("!")
            }
            kind = await command(store.redis, "HGET", store.keys.bucket(bucket), "kind")
            assert await field(store, bucket, SUM.get(kind, "concurrency.used")) == len(members)
            if members:
                assert await expires_at_ms(store, store.keys.bucket(bucket)) == -1

        await publish(store, kinds[0])
        for _ in range(100):
            await finish_all(store, running)
            running = await claim(store)
            clock.advance(1)
            await store.promote()
            if not running and not await command(store.redis, "EXISTS", store.keys.wakes, store.keys.scheduled):
                break
        assert not running
        assert await command(store.redis, "EXISTS", store.keys.holders(bucket)) == 0


async def test_a_probe_that_ends_while_the_limit_is_of_another_kind_leaves_no_limit_closed(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("b", 2))
    await store.freeze("b", 1_000_000, "")
    await store.submit(jobs(5, needs=[slot("b")]))
    clock.advance(2)
    await store.refill()
    (probe,) = await claim(store)
    await publish(store, TokenBucket("b", rate="1/min", burst=1))
    await finish_all(store, [probe])

    await publish(store, Concurrency("b", 2))
    await store.refill()

    assert len(await claim(store)) >= 1


async def test_a_window_that_claims_wait_for_is_not_kept_for_ever_once_it_is_of_another_kind(store: JobStore, clock: Clock) -> None:
    await publish(store, SlidingWindow("w", 1, per=10), interval("rare", every=3600))
    await store.submit([job("use", needs=["w", "rare"])])
    await finish_all(store, await claim(store))
    await store.submit([*jobs(2, "both", needs=["w", "rare"]), *jobs(3, "single", needs=["w"])])
    await store.refill()

    await publish(store, TokenBucket("w", rate="1/s", burst=1))
    for _ in range(20):
        await finish_all(store, await claim(store))
        await store.refill()
        clock.advance(1)

    assert await command(store.redis, "PTTL", store.keys.taken("w")) != -1
