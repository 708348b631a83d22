"""Outcomes that Redis cannot record, among others that it can: each stands alone, whatever the records, the buckets and the numbers are."""

from collections.abc import AsyncIterator

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, StartedJob
from runner.limits import Concurrency, Need
from runner.store.answers import FinishAnswer
from runner.store.job_store import JobStore
from tests.servers import Server
from tests.store.builders import Clock, claim, enlist, interval, job, jobs, make_store, publish, slot, succeeded
from tests.store.inside import pending_count, scores, states, stream_ids
from tests.store.test_memory_full import set_full

ERROR = b'{"type":"E","message":"no"}'
TOO_LONG = 2**63

Damage = tuple[str, ...]


def field(name: str, value: str) -> Damage:
    return "HSET", "job", name, value


OF_RECORDS: dict[str, tuple[list[Damage], Ending]] = {
    "no task": ([("HDEL", "job", "task")], Ending.succeeded),
    "a text in the place of failures": ([field("failures", "many")], Ending.retry),
    "failures beyond all numbers": ([field("failures", str(2**63 - 1))], Ending.retry),
    "no instant to expire": ([field("expires", "soon")], Ending.retry),
    "no instant to expire, given back": ([field("expires", "soon")], Ending.returned),
    "an infinite instant to expire": ([field("expires", "inf")], Ending.retry),
    "throttled for ever": ([field("throttled", "x")], Ending.throttled),
    "no priority": ([("HDEL", "job", "priority")], Ending.returned),
    "a priority there is not": ([field("priority", "seven")], Ending.returned),
    "no rank": ([("HDEL", "job", "rank")], Ending.returned),
    "a rank that is none": ([field("rank", "first")], Ending.returned),
    "limits that are none": ([field("limits", "gibberish")], Ending.returned),
    "limits beyond all numbers": ([field("limits", f"x={2**70}")], Ending.returned),
    "no instant of its start": ([field("started", "then")], Ending.succeeded),
    "deleted": ([("DEL", "job")], Ending.succeeded),
    "another type": ([("DEL", "job"), ("SET", "job", "text")], Ending.succeeded),
    "another type, given back": ([("DEL", "job"), ("RPUSH", "job", "text")], Ending.returned),
    "its bucket is of another type": ([("DEL", "bucket:x"), ("SET", "bucket:x", "text")], Ending.returned),
    "its bucket holds texts": ([("HSET", "bucket:x", "deficit", "x", "version", "x")], Ending.returned),
    "its slots are of another type": ([("DEL", "holders:c"), ("SET", "holders:c", "text")], Ending.succeeded),
}


async def start_some(store: JobStore, damage: list[Damage], ending: Ending) -> tuple[list[StartedJob], Outcome]:
    """Six jobs that run, the third of which is damaged; with its outcome."""
    needs: list[str | Need] = (
        ["x", slot("c")] if any("rank" in word or "bucket" in word or "holders" in word for words in damage for word in words) else []
    )
    await publish(store, interval("x", capacity=9, every=60), Concurrency("c", 9))
    await store.submit([*jobs(2, "a"), job("bad", needs=needs), *jobs(3, "b")])
    started = await claim(store)
    assert len(started) == 6
    for words in damage:
        verb, key, *rest = words
        name = store.keys.job("bad") if key == "job" else store.keys.prefix + key
        await command(store.redis, verb, name, *rest)
    place = next(place for place, one in enumerate(started) if one.id == "bad")
    bad = started.pop(place)
    settled = "x=1" if needs else ""
    return started, Outcome(bad, ending, ERROR, 1_000_000, 60_000, settled, "x" if ending is Ending.throttled else "")


@pytest.fixture
async def own_store(private_server: Server, clock: Clock) -> AsyncIterator[JobStore]:
    store = make_store(private_server.url, "damaged", clock)
    yield store
    await store.close()


@pytest.mark.parametrize("full", [False, True], ids=["", "memory full"])
@pytest.mark.parametrize("what", OF_RECORDS)
async def test_a_damaged_job_in_a_batch_harms_no_other(own_store: JobStore, what: str, full: bool) -> None:
    store = own_store
    started, outcome = await start_some(store, *OF_RECORDS[what])
    await set_full(store, full=full)

    answers = await store.finish("w", [*map(succeeded, started[:3]), outcome, *map(succeeded, started[3:])])

    assert [answers[place] for place in (0, 1, 2, 4, 5)] == ["accepted"] * 5
    assert set(await states(store, [one.id for one in started])) == {"succeeded"}
    assert answers[3] in {"accepted", "refused", "stale"}
    if answers[3] == "refused":
        assert answers.refusals[3]
        assert await pending_count(store, "w") == 1
        assert await command(store.redis, "HGET", store.keys.job("bad"), "state") == b"running"
        (answer,) = await store.finish("w", [outcome._replace(ending=Ending.refused, settled="")])
        assert answer == "accepted"
        assert await command(store.redis, "HMGET", store.keys.job("bad"), "state", "error") == [b"failed", ERROR]
        assert 0 < await command(store.redis, "PTTL", store.keys.job("bad")) <= 60_000
        assert await scores(store, store.keys.scheduled) == {}
    assert await pending_count(store, "w") == 0
    await set_full(store, full=False)
    assert await stream_ids(store) in ([], ["bad"])


async def test_the_damages_that_are_refused_are_so_by_their_own_reasons(store: JobStore) -> None:
    """The test above would pass with a store that refuses nothing, or everything."""
    started, outcome = await start_some(store, *OF_RECORDS["a text in the place of failures"])

    answers = await store.finish("w", [outcome, *map(succeeded, started)])

    assert answers == [FinishAnswer.refused, *[FinishAnswer.accepted] * 5]
    assert "not an integer" in answers.refusals[0]


async def test_what_a_refused_outcome_had_changed_is_taken_back(store: JobStore) -> None:
    """A job that is given back gets its state before its place in line, and here that is no sorted set."""
    await publish(store, interval())
    await store.submit([wanted := job("a", needs=["x"])])
    (started,) = await claim(store)
    await command(store.redis, "SET", store.keys.line(wanted.line), "text")

    assert await store.finish("w", [Outcome(started, Ending.returned)]) == ["refused"]

    words = await command(store.redis, "HMGET", store.keys.job("a"), "state", "result", "finished")
    assert words == [b"running", None, None]
    assert await command(store.redis, "PTTL", store.keys.job("a")) == -1
    assert await pending_count(store, "w") == 1
    await command(store.redis, "DEL", store.keys.line(wanted.line))
    assert await store.finish("w", [succeeded(started)]) == ["accepted"]


async def test_numbers_that_redis_does_not_take_are_cut_down_to_those_it_takes(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(5))
    first, second, third, fourth, fifth = await claim(store)

    answers = await store.finish(
        "w",
        [
            Outcome(first, Ending.succeeded, b"1", 0, TOO_LONG),
            Outcome(second, Ending.failed, ERROR, 0, -1),
            Outcome(third, Ending.retry, ERROR, TOO_LONG, 60_000),
            Outcome(fourth, Ending.succeeded, b"1", 0, 10**400),
            Outcome(fifth, Ending.cancelled, b"", 0, 0),
        ],
    )

    assert answers == ["accepted"] * 5
    year_ms = 366 * 86_400_000
    assert 0.99 * year_ms < await command(store.redis, "PTTL", store.keys.job("j0")) <= year_ms
    assert await scores(store, store.keys.scheduled) == {"j2": clock.now_us + 1000 * year_ms}
    assert 0.99 * year_ms < await command(store.redis, "PTTL", store.keys.job("j3")) <= year_ms
    assert await command(store.redis, "PTTL", store.keys.job("j4")) <= 1


async def test_a_refused_outcome_gives_back_the_slots_of_its_job(store: JobStore) -> None:
    await publish(store, Concurrency("c", 1))
    await enlist(store, "w")
    await store.submit([job("bad", needs=[slot("c")]), job("next", needs=[slot("c")])])
    (bad,) = await claim(store)
    await command(store.redis, "HSET", store.keys.job("bad"), "failures", "many")
    outcome = Outcome(bad, Ending.retry, ERROR, 0, 60_000)
    assert await store.finish("w", [outcome]) == ["refused"]

    assert await store.finish("w", [outcome._replace(ending=Ending.refused)]) == ["accepted"]

    assert [one.id for one in await claim(store)] == ["next"]
    assert await command(store.redis, "HGET", store.keys.job("bad"), "state") == b"failed"


async def test_a_refusal_said_again_changes_nothing(store: JobStore) -> None:
    await store.submit([job("bad")])
    (bad,) = await claim(store)
    outcome = Outcome(bad, Ending.refused, ERROR, 0, 60_000)

    assert await store.finish("w", [outcome]) == ["accepted"]
    assert await store.finish("w", [outcome]) == ["repeated"]


async def test_a_job_that_was_asked_to_stop_and_whose_outcome_is_refused_is_a_dead_letter(store: JobStore) -> None:
    await store.submit([job("bad")])
    (bad,) = await claim(store)
    await store.cancel("bad")

    assert await store.finish("w", [Outcome(bad, Ending.refused, ERROR, 0, 60_000)]) == ["accepted"]
    assert await states(store, ["bad"]) == ["failed"]
