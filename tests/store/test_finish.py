"""finish: each ending, said once and said again, by the attempt that runs and by one that has lost it."""

import json

import pytest
from redis.exceptions import ResponseError

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, Priority, StartedJob
from runner.jobs.job_error import JobError
from runner.limits import Concurrency, Need
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL
from tests.store.builders import START_US, Clock, claim, enlist, ids, interval, job, jobs, make_store, publish, slot, succeeded
from tests.store.inside import bucket_state, nudged, pending_count, scores, spoken_for, states, stream_ids

ERROR = json.dumps({"type": "ValueError", "message": "no"}).encode()


async def start_one(store: JobStore, **fields: object) -> StartedJob:
    await store.submit([job("a", **fields)])  # type: ignore[arg-type] # passed on as given
    (started,) = await claim(store)
    return started


async def test_a_succeeded_job_has_its_result(store: JobStore, clock: Clock) -> None:
    started = await start_one(store)
    clock.advance(2)

    assert await store.finish("w", [succeeded(started, b'{"n":[1,2]}')]) == ["accepted"]

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.result, status.error, status.attempt) == ("succeeded", {"n": [1, 2]}, None, 1)
    assert (status.started_at, status.finished_at) == (START_US / 1e6, START_US / 1e6 + 2)


async def test_a_finished_job_leaves_the_stream_and_lives_as_long_as_it_was_told(store: JobStore) -> None:
    started = await start_one(store)

    await store.finish("w", [succeeded(started, ttl_ms=5000)])

    assert await stream_ids(store) == []
    assert await pending_count(store, "w") == 0
    assert 0 < await command(store.redis, "PTTL", store.keys.job("a")) <= 5000


async def test_a_failed_job_is_a_dead_letter_with_its_error(store: JobStore, clock: Clock) -> None:
    started = await start_one(store)
    clock.advance_us(7)

    assert await store.finish("w", [Outcome(started, Ending.failed, ERROR, 0, 60_000)]) == ["accepted"]

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.error, status.result) == ("failed", JobError("ValueError", "no"), None)
    assert await scores(store, store.keys.failed) == {"a": START_US + 7}


async def test_a_cancelled_attempt_ends_without_result_and_is_no_dead_letter(store: JobStore) -> None:
    started = await start_one(store)

    assert await store.finish("w", [Outcome(started, Ending.cancelled, b"", 0, 60_000)]) == ["accepted"]

    assert await states(store, ["a"]) == ["cancelled"]
    assert await scores(store, store.keys.failed) == {}


async def test_a_retry_waits_for_its_time_and_counts_a_failure(store: JobStore, clock: Clock) -> None:
    started = await start_one(store)
    await nudged(store)

    assert await store.finish("w", [Outcome(started, Ending.retry, ERROR, 3_000_000)]) == ["accepted"]

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.reason, status.eta_s, status.failures) == ("scheduled", "retry", 3.0, 1)
    assert status.error == JobError("ValueError", "no")
    assert await nudged(store)
    clock.advance(3)
    await store.promote()
    (again,) = await claim(store)
    assert (again.attempt, again.failures) == (2, 1)


async def test_a_success_after_a_retry_shows_no_error(store: JobStore, clock: Clock) -> None:
    await store.finish("w", [Outcome(await start_one(store), Ending.retry, ERROR, 0)])
    await store.promote()
    (again,) = await claim(store)
    await store.finish("w", [succeeded(again)])

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.error, status.failures) == (None, 1)


async def test_a_returned_job_is_queued_again_and_its_tokens_stay_spent(store: JobStore) -> None:
    await publish(store, interval("x", capacity=3, every=60))
    started = await start_one(store, needs=["x"])

    assert await store.finish("w", [Outcome(started, Ending.returned)]) == ["accepted"]

    assert await states(store, ["a"]) == ["queued"]
    assert (await bucket_state(store, "x")).deficit == 1
    (again,) = await claim(store)
    assert (again.attempt, again.failures) == (2, 0)
    assert (await bucket_state(store, "x")).deficit == 2


async def test_a_returned_job_without_a_token_is_the_first_to_get_one(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=1))
    await store.submit(jobs(3, needs=["x"]))
    (first,) = await claim(store)

    await store.finish("w", [Outcome(first, Ending.returned)])

    assert await states(store, ["j0"]) == ["waiting"]
    clock.advance(1)
    assert ids(await claim(store)) == ["j0"]


@pytest.mark.parametrize("ending", [Ending.succeeded, Ending.failed, Ending.cancelled])
async def test_a_final_outcome_said_again_changes_nothing(store: JobStore, ending: Ending, clock: Clock) -> None:
    outcome = Outcome(await start_one(store), ending, ERROR, 0, 60_000)
    await store.finish("w", [outcome])  # the reply is lost
    before = await command(store.redis, "HGETALL", store.keys.job("a"))
    clock.advance(1)

    assert await store.finish("w", [outcome]) == ["repeated"]

    assert await command(store.redis, "HGETALL", store.keys.job("a")) == before
    assert await command(store.redis, "XLEN", store.keys.history) == 1


async def test_a_retry_said_again_changes_nothing(store: JobStore, clock: Clock) -> None:
    outcome = Outcome(await start_one(store), Ending.retry, ERROR, 3_000_000)
    await store.finish("w", [outcome])  # the reply is lost
    clock.advance(1)

    assert await store.finish("w", [outcome]) == ["repeated"]

    assert await scores(store, store.keys.scheduled) == {"a": START_US + 3_000_000}
    (status,) = await store.get(["a"])
    assert status is not None
    assert status.failures == 1


async def test_a_return_said_again_changes_nothing(store: JobStore) -> None:
    outcome = Outcome(await start_one(store), Ending.returned)
    await store.finish("w", [outcome])  # the reply is lost

    assert await store.finish("w", [outcome]) == ["stale"]

    assert await stream_ids(store) == ["a"]


@pytest.mark.parametrize("ending", list(Ending))
async def test_an_outcome_after_the_job_was_taken_back_is_refused(store: JobStore, ending: Ending, clock: Clock) -> None:
    lost = await start_one(store)
    clock.advance(11)
    await store.reclaim()

    assert await store.finish("w", [Outcome(lost, ending, ERROR, 0, 60_000)]) == ["stale"]
    (again,) = await claim(store, worker="v")
    assert await store.finish("w", [Outcome(lost, ending, ERROR, 0, 60_000)]) == ["stale"]

    assert await states(store, ["a"]) == ["running"]
    assert await pending_count(store, "v") == 1
    assert await store.finish("v", [succeeded(again)]) == ["accepted"]
    assert await command(store.redis, "XLEN", store.keys.history) == 1


async def test_an_outcome_after_the_job_was_given_up_is_refused(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, max_crashes=1)
    for name in ("poison", "stopped"):
        await store.submit([job(name)])
        (started,) = await claim(store)
        if name == "stopped":
            await store.cancel(name)
        clock.advance(11)
        await store.reclaim()
        assert await store.finish("w", [succeeded(started)]) == ["stale"]

    assert await states(store, ["poison", "stopped"]) == ["failed", "cancelled"]
    await store.close()


@pytest.mark.parametrize("ending", [Ending.retry, Ending.returned])
async def test_an_end_by_cancelling_said_again_changes_nothing(store: JobStore, ending: Ending) -> None:
    outcome = Outcome(await start_one(store), ending, ERROR, 0, 60_000)
    await store.cancel("a")

    assert await store.finish("w", [outcome]) == ["accepted"]
    assert await store.finish("w", [outcome]) == ["repeated"]


async def test_an_outcome_of_a_forgotten_job_is_stale_and_brings_nothing_back(store: JobStore) -> None:
    started = await start_one(store)
    await command(store.redis, "DEL", store.keys.job("a"))

    assert await store.finish("w", [succeeded(started)]) == ["stale"]

    assert await states(store, ["a"]) == ["unknown"]
    assert await stream_ids(store) == []


async def test_outcomes_of_many_priorities_and_endings_go_in_one_call(store: JobStore) -> None:
    await store.submit([job(priority.name, priority=priority) for priority in Priority])
    high, normal, low = await claim(store)

    answers = await store.finish(
        "w", [Outcome(low, Ending.failed, ERROR, 0, 1000), succeeded(high), succeeded(high), Outcome(normal, Ending.retry, ERROR, 0)]
    )

    assert answers == ["accepted", "accepted", "repeated", "accepted"]
    assert await states(store, ["high", "normal", "low"]) == ["succeeded", "scheduled", "failed"]
    assert await stream_ids(store) == []


async def test_a_call_records_so_many_outcomes_and_refuses_more(store: JobStore) -> None:
    await store.submit(jobs(MOST_PER_CALL + 1))
    started = await claim(store, free=MOST_PER_CALL) + await claim(store, free=1)

    with pytest.raises(ResponseError, match=f"at most {MOST_PER_CALL} entries, and this one has {MOST_PER_CALL + 1}"):
        await store.finish("w", [succeeded(one) for one in started])
    assert await store.finish("w", [succeeded(one) for one in started[:-1]]) == ["accepted"] * MOST_PER_CALL


async def test_the_end_of_a_watched_job_is_announced_once(store: JobStore) -> None:
    await store.submit([job("watched"), job("ignored")])
    started = await claim(store)
    await store.watch(["watched"])

    async with store.redis.pubsub() as channel:
        await channel.subscribe(store.keys.finished)
        assert (await channel.get_message(timeout=1) or {})["type"] == "subscribe"
        await store.finish("w", [succeeded(one) for one in started])
        await store.finish("w", [succeeded(one) for one in started])
        assert (await channel.get_message(timeout=1) or {})["data"] == b"watched"
        assert await channel.get_message(timeout=0.05) is None


async def test_each_end_is_one_entry_of_the_history_and_the_history_is_kept_short(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, history_length=10)
    await store.submit(jobs(500))
    for _ in range(500 // 100):
        await store.finish("w", [succeeded(one) for one in await claim(store, free=100)])

    rows = await command(store.redis, "XRANGE", store.keys.history, "-", "+")
    await store.close()
    assert len(rows) <= 110  # trimmed by whole nodes of 100
    assert rows[-1][1] == [b"job", b"j499", b"task", b"work", b"state", b"succeeded", b"attempt", b"1"]


async def test_finishing_frees_no_reservation_of_others(store: JobStore) -> None:
    await publish(store, interval("x", capacity=3, every=60))
    await enlist(store, "w")
    await store.submit(jobs(3, needs=["x"]))
    (first,) = (await store.claim("w", ClaimRequest(1, read_more=True))).jobs

    await store.finish("w", [succeeded(first)])

    assert await spoken_for(store, "x") == (2, 2)


@pytest.mark.parametrize("needs", [[], ["x"], [slot("slots")]])
async def test_an_outcome_told_twice_in_one_call_counts_once(store: JobStore, needs: list[str | Need]) -> None:
    await publish(store, interval("x", capacity=3, every=60), Concurrency("slots", 3))
    await enlist(store, "w")
    await store.submit(jobs(1, needs=needs))
    (started,) = (await store.claim("w", ClaimRequest(5, read_more=True))).jobs

    assert await store.finish("w", [succeeded(started), succeeded(started)]) == ["accepted", "repeated"]
    assert await command(store.redis, "XLEN", store.keys.history) == 1
