"""Tokens for code that is no job: taken at once or in the same line as the jobs, held while there are signs of life."""

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.jobs.job import JobStatus, State
from runner.limits import Concurrency, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.history import Start, starts_of
from tests.store.builders import START_US, Clock, claim, finish_all, ids, interval, job, jobs, make_store, publish, slot
from tests.store.inside import bucket_state, field, forgotten_at, scores, spoken_for, states

S = 1_000_000
LAPSE_US = 10 * S


async def hold(store: JobStore, name: str, *, wait_us: int = 0, bucket: str = "c") -> str:
    return (await store.take(f"take:{name}", f"{bucket}=1!", bucket, lapse_us=LAPSE_US, wait_us=wait_us)).state


async def test_tokens_are_taken_at_once_or_refused_with_the_time_to_come_back(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=3))

    taken = await store.take("take:a", "x=2", "x")
    refused = await store.take("take:b", "x=2", "x")

    assert (taken.state, taken.left) == ("taken", [(1, 1.0)])
    assert (refused.state, refused.wait_s, refused.bucket, refused.reason, refused.left) == ("refused", 1.0, "x", "tokens", [(1, 1.0)])
    assert await states(store, ["take:a", "take:b"]) == ["unknown", "unknown"]


async def test_all_buckets_or_none(store: JobStore) -> None:
    await publish(store, interval("x", capacity=5), interval("y", capacity=1))
    await store.take("take:a", "y=1", "y")

    refused = await store.take("take:b", "x=1;y=1", "x;y")

    assert (refused.state, refused.bucket, [left for left, _ in refused.left]) == ("refused", "y", [5, 0])
    assert (await bucket_state(store, "x")).deficit == 0


async def test_a_taker_is_behind_the_jobs_that_wait(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, refill=2, every=1))
    await store.submit([*jobs(2, needs=["x"]), job("costly", needs=[("x", 2)])])
    await finish_all(store, await claim(store))
    clock.advance(1)

    assert (await store.take("take:a", "x=1", "1|x")).state == "refused"
    assert ids(await claim(store)) == ["costly"]


async def test_a_ticket_has_its_turn_among_the_jobs_and_is_told(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit([job("first", needs=["x"]), job("second", needs=["x"])])
    await finish_all(store, await claim(store))
    assert (await store.take("take:a", "x=1", "1|x", wait_us=60 * S)).state == "waiting"
    await store.submit([job("third", needs=["x"])])
    (watched,) = await store.watch(["take:a"])
    assert isinstance(watched, JobStatus)
    assert (watched.state, watched.position) == (State.queued, None)  # who waits for its end asks for no place
    (status,) = await store.get(["take:a"])
    assert status is not None
    assert (status.state, status.position, status.eta_s) == (State.waiting, 2, 2.0)

    order = []
    for _ in range(3):
        clock.advance(1)
        started = await claim(store)
        order += ids(started) or await states(store, ["take:a"])
        await finish_all(store, started)

    assert order == ["second", "succeeded", "third"]
    left_ms = await command(store.redis, "PTTL", store.keys.job("take:a"))
    assert 0 < left_ms <= 60_000


async def test_a_ticket_asked_for_again_stands_in_line_once(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.take("take:z", "x=1", "1|x")
    for _ in range(3):
        assert (await store.take("take:a", "x=1", "1|x", wait_us=S)).state == "waiting"

    assert list(await scores(store, store.keys.line("1|x"))) == ["take:a"]


async def test_a_taker_that_leaves_the_line_leaves_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.take("take:z", "x=1", "1|x")
    await store.take("take:a", "x=1", "1|x", wait_us=60 * S)

    assert await store.cancel("take:a") == "cancelled"

    clock.advance(1)
    assert (await store.take("take:b", "x=1", "1|x")).state == "taken"
    assert await command(store.redis, "EXISTS", store.keys.history, store.keys.failed) == 0
    left_ms = await command(store.redis, "PTTL", store.keys.job("take:a"))
    assert 0 < left_ms <= 60_000


async def test_a_ticket_expires_with_its_time_to_wait_and_is_no_dead_letter(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=100))
    await store.take("take:z", "x=1", "1|x")
    await store.take("take:a", "x=1", "1|x", wait_us=2 * S)
    assert await store.expire() == (0, 2 * S)
    clock.advance(2)

    assert await store.expire() == (1, -1)

    assert await states(store, ["take:a"]) == ["expired"]
    assert await command(store.redis, "EXISTS", store.keys.history, store.keys.failed, store.keys.line("1|x")) == 0
    left_ms = await command(store.redis, "PTTL", store.keys.job("take:a"))
    assert 0 < left_ms <= 60_000
    assert await store.retry("take:a") is None


async def test_a_ticket_leaves_no_reservation(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, refill=2, every=1), SlidingWindow("y", 5, per=9))
    await store.take("take:z", "x=2", "x")
    await store.take("take:a", "x=1;y=2", "1|x;y", wait_us=9 * S)
    clock.advance(1)
    await store.refill()

    assert await states(store, ["take:a"]) == ["succeeded"]
    assert await spoken_for(store, "x") == await spoken_for(store, "y") == (0, 0)
    assert await field(store, "y", "used") == 2


async def test_a_slot_is_held_while_there_are_signs_of_life(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("c", 1))
    assert await hold(store, "a") == "taken"
    for _ in range(5):
        clock.advance(9)
        assert await store.hold("take:a", "c=1!", LAPSE_US) == 1
        assert await hold(store, "b") == "refused"

    clock.advance_us(LAPSE_US - 1)
    assert await hold(store, "b") == "refused"
    clock.advance_us(1)
    assert await hold(store, "b") == "taken"
    assert await store.hold("take:a", "c=1!", LAPSE_US) == 0
    await store.hold("take:a", "c=1!", 0)
    assert await field(store, "c", "used") == 1


async def test_a_slot_is_given_back_once(store: JobStore) -> None:
    await publish(store, Concurrency("c", 2))
    await hold(store, "a")
    await hold(store, "b")

    for _ in range(2):
        await store.hold("take:a", "c=1!", 0)

    assert await field(store, "c", "used") == 1
    assert await hold(store, "d") == "taken"
    assert await hold(store, "e") == "refused"


async def test_a_slot_that_lapses_is_had_by_the_job_that_waits(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("c", 1))
    await hold(store, "a")
    await store.submit([job("next", needs=[slot("c")])])
    assert await claim(store) == []

    assert await store.refill() == (0, LAPSE_US)
    clock.advance_us(LAPSE_US)

    assert ids(await claim(store)) == ["next"]


async def test_a_given_back_slot_goes_to_the_ticket_in_line(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("c", 1))
    await hold(store, "a")
    assert await hold(store, "b", wait_us=60 * S) == "waiting"

    await store.hold("take:a", "c=1!", 0)
    await store.refill()

    assert await states(store, ["take:b"]) == ["succeeded"]
    assert await store.hold("take:b", "c=1!", LAPSE_US) == 1


@pytest.mark.parametrize("renewals", [0, 3])
async def test_what_a_lost_process_held_is_forgotten_with_its_lapse(store: JobStore, clock: Clock, renewals: int) -> None:
    await publish(store, Concurrency("c", 2, key="{id}"))
    await hold(store, "a", bucket="c/t")
    for _ in range(renewals):
        clock.advance(5)
        await store.hold("take:a", "c/t=1!", LAPSE_US)

    lapse_ms = renewals * 5_000 + 10_000
    bucket, holders = [await forgotten_at(store, key) for key in (store.keys.bucket("c/t"), store.keys.holders("c/t"))]
    assert bucket == holders
    assert bucket is not None
    assert lapse_ms <= bucket <= lapse_ms + 20_000


async def test_a_paused_or_unpublished_limit_says_so(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.pause("x", on=True, reason="")

    paused, unknown = await store.take("take:a", "x=1", "1|x"), await store.take("take:b", "y=1", "y")

    assert (paused.state, paused.reason, paused.wait_s) == ("refused", "paused", None)
    assert (unknown.state, unknown.reason) == ("refused", "unpublished")


async def test_what_tickets_take_is_logged_with_its_instant_when_asked_for(redis_url: str, redis: Redis, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, record_starts=True)
    await publish(store, interval("x", capacity=2, refill=2, every=1), Concurrency("c", 1))
    await store.take("take:now", "x=1;c=1!", "1|x;c", lapse_us=LAPSE_US)
    await store.take("take:refused", "x=2", "1|x")
    await store.take("take:later", "x=2", "1|x", wait_us=60 * S)
    clock.advance(1)
    await store.refill()

    starts = await starts_of(redis, queue)
    await command(store.redis, "DEL", store.keys.starts)
    await store.close()
    assert starts == [
        Start("take:now", START_US, {"x": 1, "c": 1}, attempt=0),
        Start("take:later", START_US + 1 * S, {"x": 2}, attempt=0),
    ]
