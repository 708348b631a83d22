"""finish with the ending `amended`: a job that needs other buckets goes back before it began, and waits for the right ones."""

import pytest

from runner.connection.client import command
from runner.jobs.amendment import Amendment
from runner.jobs.job import Ending, Outcome, StartedJob
from runner.limits import Concurrency, Need, SlidingWindow, encode_needs
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish, slot
from tests.store.inside import bucket_state, line_ids, pending_count, spoken_for, states, stream_ids

NEW = "00c0ffee"


def amended(started: StartedJob, *needs: Need | str, spec: str = NEW) -> Outcome:
    """The job needs these buckets, one token of each that is given by its name."""
    limits, line = encode_needs([Need(need, 1) if isinstance(need, str) else need for need in needs])
    return Outcome(started, Ending.amended, Amendment(spec, limits, line).payload(), ttl_ms=60_000)


async def start(store: JobStore, *needs: Need | str, spec: str = "0a") -> StartedJob:
    await store.submit([job("a", needs=needs)._replace(spec=spec)])
    (started,) = await claim(store)
    return started


async def test_tokens_and_slots_come_back_and_it_waits_for_the_right_ones(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("wrong"), interval("right", every=10), Concurrency("room", 1), SlidingWindow("seen", 1, per=60))
    started = await start(store, "wrong", slot("room"), "seen")
    await store.submit([job("first", needs=["right"])])
    (first,) = await claim(store)

    assert await store.finish("w", [amended(started, "right", slot("room"))]) == ["accepted"]

    assert await states(store, ["a"]) == ["waiting"]
    assert await line_ids(store, "1|right;room") == ["a"]
    assert (await bucket_state(store, "wrong")).deficit == 0
    await store.submit([job("other", needs=["wrong", "seen"])])
    assert ids(await claim(store)) == ["other"]
    await finish_all(store, [first])
    clock.advance(10)
    await store.refill()
    (again,) = await claim(store)
    assert (again.id, again.attempt, again.failures, again.limits) == ("a", 2, 0, "right=1;room=1!")
    assert again.spec == f"{NEW} {NEW}"


async def test_a_job_without_limits_gets_them_and_the_last_place(store: JobStore) -> None:
    await publish(store, interval("x"))
    started = await start(store)
    await store.submit(jobs(3, needs=["x"]))

    assert await store.finish("w", [amended(started, "x")]) == ["accepted"]

    assert await line_ids(store, "1|x") == ["j1", "j2", "a"]
    assert await pending_count(store, "w") == 0


async def test_a_job_keeps_its_place(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=1, every=10), interval("y", capacity=5))
    started = await start(store, "y")
    await store.submit(jobs(3, needs=["x"]))

    await store.finish("w", [amended(started, Need("x", 1))])

    assert await line_ids(store, "1|x") == ["a", "j1", "j2"]


async def test_said_twice_it_is_stale_and_changes_nothing_more(store: JobStore) -> None:
    await publish(store, interval("x", capacity=3), interval("y"))
    started = await start(store, "x")
    outcome = amended(started, "y")

    assert await store.finish("w", [outcome]) == ["accepted"]
    before = await command(store.redis, "HGETALL", store.keys.job("a"))
    assert await store.finish("w", [outcome]) == ["stale"]

    assert await command(store.redis, "HGETALL", store.keys.job("a")) == before
    assert await stream_ids(store) == ["a"]
    assert await spoken_for(store, "y") == (1, 1)
    assert [one.attempt for one in await claim(store)] == [2]


async def test_each_version_that_amended_it_is_noted(store: JobStore) -> None:
    await publish(store, interval("x", capacity=9), interval("y", capacity=9))
    started = await start(store)
    for spec, need in (("a1", "x"), ("b2", "y"), ("a1", "x")):
        await store.finish("w", [amended(started, need, spec=spec)])
        (started,) = await claim(store)

    assert started.spec == "a1 a1 b2 a1"
    assert (started.attempt, started.failures, started.limits) == (4, 0, "x=1")


async def test_a_job_that_was_asked_to_stop_is_cancelled(store: JobStore) -> None:
    await publish(store, interval("x"), interval("y"))
    started = await start(store, "x")
    await store.cancel("a")

    assert await store.finish("w", [amended(started, "y")]) == ["accepted"]

    assert await states(store, ["a"]) == ["cancelled"]
    assert (await bucket_state(store, "x")).deficit == 0


@pytest.mark.parametrize("payload", [b"", b"zz\nx=1\n1|x", b"0a\nx=1"])
async def test_needs_that_cannot_be_read_are_refused_and_leave_the_others(store: JobStore, payload: bytes) -> None:
    await publish(store, interval("x", capacity=9))
    started = await start(store, "x")
    await store.submit([job("b", needs=["x"])])
    (other,) = await claim(store)

    answers = await store.finish("w", [Outcome(started, Ending.amended, payload), amended(other, "x")])

    assert [str(answer) for answer in answers] == ["refused", "accepted"]
    assert await states(store, ["a"]) == ["running"]


async def test_what_never_began_is_no_start(store: JobStore) -> None:
    await publish(store, interval("x", capacity=9), interval("y", capacity=9))
    started = await start(store, "x")

    await store.finish("w", [amended(started, "y")])
    await claim(store)

    assert [(one.job, one.attempt) for one in await store.starts()] in ([], [("a", 2)])
