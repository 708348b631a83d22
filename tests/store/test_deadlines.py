"""Deadlines: an instant of Redis's clock over all of a job: its waits, its attempts and its retries."""

import json

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, JobStatus, Outcome, Priority, State
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, interval, job, publish

S = 1_000_000


async def seen(store: JobStore, job_id: str = "a") -> JobStatus:
    (status,) = await store.get([job_id])
    assert status is not None
    return status


async def expiring(store: JobStore, job_id: str = "a") -> int | None:
    score = await command(store.redis, "ZSCORE", store.keys.expiring, job_id)
    return None if score is None else int(float(score))


@pytest.mark.parametrize(
    ("options", "expires_s"),
    [
        ({"deadline": 60}, 60),
        ({"deadline": 60, "max_wait": 10}, 10),
        ({"deadline": 60, "max_wait": 100}, 60),
        ({"deadline": 60, "max_wait": 10, "delay": 20}, 30),
        ({"deadline": 60, "max_wait": 50, "delay": 20}, 60),
    ],
)
async def test_the_earlier_of_deadline_and_max_wait_ends_a_job_that_waits(
    store: JobStore, clock: Clock, options: dict[str, float], expires_s: int
) -> None:
    submitted_us = clock.now_us
    await store.submit([job("a", **options)])  # type: ignore[arg-type]

    assert await expiring(store) == submitted_us + expires_s * S
    assert (await seen(store)).deadline_at == pytest.approx((submitted_us + 60 * S) / S)


async def test_a_job_without_one_has_no_field_more(store: JobStore) -> None:
    await store.submit([job("a"), job("b", max_wait=5)])

    for name in ("a", "b"):
        assert await command(store.redis, "HMGET", store.keys.job(name), "deadline", "allowed_us") == [None, None]


@pytest.mark.parametrize("where", ["on a stream", "in a line", "scheduled"])
@pytest.mark.parametrize(("on_expiry", "state"), [("expire", "expired"), ("fail", "failed")])
async def test_a_job_that_waits_until_its_deadline_has_expired(
    store: JobStore, clock: Clock, where: str, on_expiry: str, state: str
) -> None:
    await publish(store, interval("x", capacity=1, every=1000))
    if where == "in a line":
        await store.submit([job("first", needs=["x"])])
    await store.submit([job("a", needs=["x"], deadline=60, delay=59 if where == "scheduled" else 0, on_expiry=on_expiry)])
    clock.now_us += 60 * S
    await store.expire()

    status = await seen(store)
    assert status.state == state
    if state == "failed":
        assert status.error is not None
        assert (status.error.type, status.error.message) == ("expired", "it had to wait until its deadline")


async def test_a_claim_that_meets_a_job_past_its_deadline_ends_it(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", deadline=60)])
    clock.now_us += 60 * S

    assert await claim(store) == []
    assert (await seen(store)).state == "expired"


async def test_a_claim_tells_what_is_left_of_it_of_the_jobs_that_have_one(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", deadline=60), job("b"), job("c", max_wait=9), job("d", deadline=3, priority=Priority.low)])
    clock.now_us += S

    assert {one.id: one.deadline_us for one in await claim(store)} == {"a": 59 * S, "b": 0, "c": 0, "d": 2 * S}


async def test_what_is_left_is_told_beside_jobs_of_tasks_that_are_not_there(store: JobStore) -> None:
    await store.submit([job("a", task="other"), job("b", deadline=60)])
    await store.enlist("w", "{}")
    claimed = await store.claim("w", ClaimRequest(10, read_more=True, alone=True, unserved="\nother\n"))

    assert [(one.id, one.deadline_us) for one in claimed.jobs] == [("b", 60 * S)]
    assert [entry[2] for entry in claimed.unserved] == [b"a"]


FAILED = json.dumps({"type": "BankError", "message": "away", "traceback": "where"}).encode()


@pytest.mark.parametrize(("delay_s", "state"), [(0, "scheduled"), (29, "scheduled"), (30, "scheduled"), (31, "failed"), (10**6, "failed")])
async def test_a_retry_that_would_come_after_it_is_a_dead_letter_with_the_last_error_inside(
    store: JobStore, clock: Clock, delay_s: int, state: str
) -> None:
    await store.submit([job("a", deadline=60)])
    (started,) = await claim(store)
    clock.now_us += 30 * S
    outcome = Outcome(started, Ending.retry, FAILED, delay_s * S, 60_000)
    for answer in ("accepted", "repeated"):
        assert (await store.finish("w", [outcome]))[0] == answer

    status = await seen(store)
    assert (status.state, status.failures) == (state, 1 if state == "scheduled" else 0)
    assert [one.type for one in status.attempts] == ["BankError"]
    assert status.error is not None
    if state == "failed":
        assert status.error.type == "DeadlineExceeded"
        assert status.error.message == "its next attempt would begin after its deadline; the last error was BankError: away"
        assert status.error.traceback == "where"
        assert await command(store.redis, "ZSCORE", store.keys.failed, "a") is not None
        assert await command(store.redis, "PTTL", store.keys.job("a")) > 60_000, "it is kept as dead letters are"


async def test_a_job_that_is_tried_again_still_ends_at_it(store: JobStore, clock: Clock) -> None:
    submitted_us = clock.now_us
    await store.submit([job("a", deadline=60)])
    (started,) = await claim(store)
    assert await expiring(store) is None
    clock.now_us += 10 * S
    await end(store, started, Ending.retry, delay=5)

    assert await expiring(store) == submitted_us + 60 * S
    clock.now_us += 20 * S
    await store.promote()
    assert [one.deadline_us for one in await claim(store)] == [30 * S]


async def test_a_job_that_was_lost_with_its_worker_still_ends_at_it(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", deadline=60)])
    await claim(store)
    await crash(store)
    clock.now_us += 61 * S
    await store.expire()

    assert (await seen(store)).state == "expired"


async def test_a_job_that_is_run_again_by_hand_has_all_its_time_again(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", deadline=60)])
    for _ in range(2):
        clock.now_us += 100 * S
        await store.expire()
        assert await store.retry("a") is State.queued
        assert await expiring(store) == clock.now_us + 60 * S
    assert [one.deadline_us for one in await claim(store)] == [60 * S]


async def test_the_longest_deadline_is_a_year(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", deadline=10**12)])

    assert await expiring(store) == clock.now_us + 366 * 86_400 * S
