"""What is written down of failed attempts: by the script that ends each, the first and the last nine, and nothing of those that succeed."""

import json

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, StartedJob
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, end, interval, job, publish

S = 1_000_000


def failed(started: StartedJob, kind: str = "ValueError", message: str = "no", ending: Ending = Ending.retry) -> Outcome:
    return Outcome(started, ending, json.dumps({"type": kind, "message": message, "traceback": "..."}).encode(), 0, 60_000)


async def attempt(store: JobStore, kind: str = "ValueError", message: str = "no") -> str:
    """Start the one job that is due, and let the attempt fail: the answer."""
    await store.promote()
    (started,) = await claim(store)
    return (await store.finish("w", [failed(started, kind, message)]))[0]


async def test_a_failed_attempt_is_told_with_its_time_its_worker_and_its_error(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store)
    began_us = clock.now_us
    clock.now_us += 2 * S + 345_678
    await store.finish("w", [failed(started, "BankError", "card refused")])

    (status,) = await store.get(["a"])
    assert status is not None
    (one,) = status.attempts
    assert (one.attempt, one.worker, one.type, one.message) == (1, "w", "BankError", "card refused")
    assert one.started_at == pytest.approx(began_us / S, abs=0.001)
    assert one.ran_s == 2.345


@pytest.mark.parametrize("ending", [Ending.succeeded, Ending.returned, Ending.throttled, Ending.cancelled])
async def test_an_attempt_that_did_not_fail_is_not_written_down(store: JobStore, ending: Ending) -> None:
    await publish(store, interval("b"))
    await store.submit([job("a", needs=["b"])])
    (started,) = await claim(store)
    await end(store, started, ending, freeze="b" if ending is Ending.throttled else "")

    assert await command(store.redis, "HEXISTS", store.keys.job("a"), "attempts") == 0


async def test_the_last_attempt_of_a_dead_letter_is_there_too(store: JobStore) -> None:
    await store.submit([job("a")])
    await attempt(store, kind="A")
    await store.promote()
    (started,) = await claim(store)
    await store.finish("w", [failed(started, "B", ending=Ending.failed)])

    (status,) = await store.get(["a"])
    assert status is not None
    assert [(one.attempt, one.type) for one in status.attempts] == [(1, "A"), (2, "B")]


async def test_of_many_the_first_and_the_last_nine_are_kept(store: JobStore) -> None:
    await store.submit([job("a")])
    for number in range(1, 14):
        assert await attempt(store, message=f"number {number}") == "accepted"

    (status,) = await store.get(["a"])
    assert status is not None
    assert [one.attempt for one in status.attempts] == [1, *range(5, 14)]
    assert [one.message for one in status.attempts] == [f"number {number}" for number in (1, *range(5, 14))]
    assert status.failures == 13


@pytest.mark.parametrize(
    ("said", "kept"), [("x" * 200, "x" * 120), ("é🙂" * 100, "é🙂" * 60), ('a\n"b"\\/\x00', 'a\n"b"\\/\x00'), ("", "")]
)
async def test_a_message_is_cut_at_120_characters_of_whatever_length(store: JobStore, said: str, kept: str) -> None:
    await store.submit([job("a")])
    await attempt(store, message=said)

    (status,) = await store.get(["a"])
    assert status is not None
    assert [one.message for one in status.attempts] == [kept]


async def test_an_outcome_said_again_is_written_down_once(store: JobStore) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store)
    for answer in ("accepted", "repeated"):
        assert (await store.finish("w", [failed(started)]))[0] == answer

    (status,) = await store.get(["a"])
    assert status is not None
    assert len(status.attempts) == 1


async def test_an_attempt_that_was_lost_with_its_worker_is_written_down_by_who_takes_the_job_back(store: JobStore) -> None:
    await store.submit([job("a")])
    await claim(store, worker="v")
    await crash(store, "v")
    await attempt(store, kind="ValueError")

    (status,) = await store.get(["a"])
    assert status is not None
    assert [(one.attempt, one.worker, one.type) for one in status.attempts] == [(1, "v", "WorkerLost"), (2, "w", "ValueError")]
    assert "died" in status.attempts[0].message
    assert (status.failures, status.crashes) == (1, 1)


async def test_they_stay_when_the_job_is_run_again_by_hand(store: JobStore) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store)
    await store.finish("w", [failed(started, "A", ending=Ending.failed)])
    await store.retry("a")
    await attempt(store, kind="B")

    (status,) = await store.get(["a"])
    assert status is not None
    assert [(one.attempt, one.type) for one in status.attempts] == [(1, "A"), (2, "B")]
    assert status.failures == 1


@pytest.mark.parametrize("damage", ["{", "[1,2", "[[1]]", "7", '["x"]', '[[1,2,3,"w","T"]]', "null"])
async def test_records_that_were_damaged_cost_nothing_else(store: JobStore, damage: str) -> None:
    await store.submit([job("a")])
    await attempt(store, kind="A")
    await command(store.redis, "HSET", store.keys.job("a"), "attempts", damage)

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.attempts) == ("scheduled", ())
    assert await attempt(store, kind="B") == "accepted"


async def test_an_error_that_cannot_be_read_is_a_failed_attempt_too(store: JobStore) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store)
    assert (await store.finish("w", [Outcome(started, Ending.retry, b"\xff{", 0, 60_000)]))[0] == "accepted"

    (raw,) = await command(store.redis, "HMGET", store.keys.job("a"), "attempts")
    assert [row[4:] for row in json.loads(raw)] == [["", ""]]
