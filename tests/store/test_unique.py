"""Marks: of the jobs with one mark one is there at a time, whatever becomes of it, and nothing else holds a mark."""

from collections.abc import Sequence
from typing import Any

import pytest

from runner.connection.client import command
from runner.errors import BacklogFull
from runner.jobs.job import Acceptance, Ending, OtherJob, Priority
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, end, finish_all, ids, interval, job, publish, replacing, unique
from tests.store.inside import line_ids, nudged, scores, spoken_for, states, stream_ids


def existing(job_id: str) -> OtherJob:
    return OtherJob(Acceptance.existing, job_id)


def replaced(job_id: str) -> OtherJob:
    return OtherJob(Acceptance.replaced, job_id)


def duplicate(job_id: str) -> OtherJob:
    return OtherJob(Acceptance.duplicate, job_id)


async def marks(store: JobStore) -> dict[str, str]:
    """Each mark and the job that is entered there."""
    found = await command(store.redis, "HGETALL", store.keys.unique)
    return {mark.decode(): value.decode().partition(" ")[2] for mark, value in zip(found[::2], found[1::2], strict=True)}


async def test_a_second_job_with_a_mark_is_the_one_that_is_there(store: JobStore) -> None:
    assert await store.submit([unique("a")]) == ["queued"]

    assert await store.submit([unique("b"), unique("a"), unique("c", "work/n"), job("d")]) == [
        existing("a"),
        "existing",
        "queued",
        "queued",
    ]

    assert await stream_ids(store) == ["a", "c", "d"]
    assert await states(store, ["b"]) == ["unknown"]
    assert await marks(store) == {"work/m": "a", "work/n": "c"}


async def test_it_can_be_refused_instead(store: JobStore) -> None:
    await store.submit([unique("a", duplicate="refuse")])

    assert await store.submit([unique("b", duplicate="refuse")]) == [duplicate("a")]
    assert await store.submit([unique("b", duplicate="refuse"), unique("c")]) == [duplicate("a"), existing("a")]


async def test_those_of_one_call_behave_as_if_sent_one_by_one(store: JobStore) -> None:
    batch = [unique("a"), unique("b"), unique("c", "work/n"), unique("d", "work/n", duplicate="refuse")]

    assert await store.submit(batch) == ["queued", existing("a"), "queued", duplicate("c")]
    assert await store.submit(batch) == ["existing", existing("a"), "existing", duplicate("c")]


ENDINGS = [Ending.succeeded, Ending.failed, Ending.cancelled, Ending.refused]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_end_of_an_attempt_gives_the_mark_back(store: JobStore, ending: Ending) -> None:
    await store.submit([unique("a")])
    (started,) = await claim(store)
    assert await store.submit([unique("b")]) == [existing("a")]

    assert await end(store, started, ending) == "accepted"

    assert await marks(store) == {}
    assert await store.submit([unique("b")]) == ["queued"]


@pytest.mark.parametrize("ending", [Ending.retry, Ending.returned, Ending.throttled])
async def test_an_attempt_that_is_not_the_last_keeps_it(store: JobStore, clock: Clock, ending: Ending) -> None:
    await publish(store, interval("x", capacity=5))
    await store.submit([unique("a", needs=["x"])])
    (started,) = await claim(store)
    await end(store, started, ending, delay=1, freeze="x")

    assert await store.submit([unique("b", needs=["x"])]) == [existing("a")]
    clock.advance(60)
    await store.promote()
    await store.refill()
    again = await claim(store)
    assert ids(again) == ["a"]
    await finish_all(store, again)
    assert await marks(store) == {}


async def test_cancel_and_expire_give_the_mark_back(store: JobStore, clock: Clock) -> None:
    await store.submit([unique("a"), unique("b", "work/n", delay=9), unique("c", "work/o", max_wait=1)])
    await store.cancel("a")
    await store.cancel("b")
    assert await marks(store) == {"work/o": "c"}

    clock.advance(2)
    await store.expire()
    assert await marks(store) == {}


async def test_a_lost_worker_keeps_the_mark_for_its_job(store: JobStore) -> None:
    await store.submit([unique("a")])
    await claim(store, worker="lost")
    await command(store.redis, "ZADD", store.keys.workers, 1, "lost")
    await store.reclaim()

    assert await store.submit([unique("b")]) == [existing("a")]
    await finish_all(store, await claim(store))
    assert await marks(store) == {}


async def test_until_its_start_a_mark_is_free_once_a_job_was_claimed(store: JobStore) -> None:
    await store.submit([unique("a", mode="start")])
    assert await store.submit([unique("b", mode="start")]) == [existing("a")]
    (first,) = await claim(store)

    assert await store.submit([unique("b", mode="start")]) == ["queued"]
    assert await store.submit([unique("c", mode="start")]) == [existing("b")]

    await finish_all(store, [first])  # the mark is another job's now
    assert await marks(store) == {"work/m": "b"}


async def test_for_a_period_it_holds_whatever_becomes_of_the_job(store: JobStore, clock: Clock) -> None:
    await store.submit([unique("a", until_us=3_600_000_000)])
    (started,) = await claim(store)
    await end(store, started)
    assert await command(store.redis, "PTTL", store.keys.job("a")) > 3_599_000  # 60 s without the mark
    clock.advance(3_599)
    assert await store.submit([unique("b", until_us=3_600_000_000)]) == [existing("a")]

    clock.advance(1)
    assert await store.submit([unique("b", until_us=3_600_000_000)]) == ["queued"]
    clock.advance(7_200)
    assert await store.submit([unique("c", until_us=3_600_000_000)]) == [existing("b")]  # it has not ended
    await finish_all(store, await claim(store))
    assert await marks(store) == {}


async def test_a_mark_without_its_job_is_taken_over(store: JobStore) -> None:
    await store.submit([unique("a"), unique("b", "work/n"), unique("c", "work/o"), unique("d", "work/p")])
    await command(store.redis, "DEL", store.keys.job("a"))
    await command(store.redis, "HSET", store.keys.job("b"), "state", "succeeded")  # by code that knows no marks
    await command(store.redis, "PEXPIRE", store.keys.job("b"), 60_000)
    await command(store.redis, "HSET", store.keys.unique, "work/o", "gibberish")
    await command(store.redis, "HDEL", store.keys.job("d"), "unique")

    batch = [unique("e"), unique("f", "work/n"), unique("g", "work/o"), unique("h", "work/p")]
    assert await store.submit(batch) == ["queued"] * 4
    assert await marks(store) == {"work/m": "e", "work/n": "f", "work/o": "g", "work/p": "h"}


async def test_repair_frees_the_marks_that_no_job_holds(store: JobStore) -> None:
    await store.submit([unique(f"j{number}", f"work/{number}") for number in range(50)])
    await store.submit([unique("s", "work/s", "start"), unique("p", "work/p", until_us=60_000_000)])
    started = await claim(store, 3)
    for number in range(10, 20):
        await command(store.redis, "DEL", store.keys.job(f"j{number}"))
    await command(store.redis, "HSET", store.keys.job("s"), "started", 1)
    await command(store.redis, "HSET", store.keys.job("p"), "state", "succeeded")
    await command(store.redis, "PEXPIRE", store.keys.job("p"), 60_000)

    for _ in range(8):
        await store.repair()

    assert set(await marks(store)) == {f"work/{number}" for number in [*range(10), *range(20, 50)]} | {"work/p"}
    await finish_all(store, started)
    await command(store.redis, "DEL", store.keys.unique)
    await store.repair()
    assert await command(store.redis, "EXISTS", store.keys.sweeps) == 0


async def test_a_mark_that_ended_with_a_start_is_put_right_once_and_one_of_a_job_that_runs_is_not(store: JobStore) -> None:
    await store.submit([unique("s", "work/s", "start"), unique("e", "work/e")])
    assert await store.repair() == (0, False)
    await claim(store)

    assert [await store.repair() for _ in range(3)] == [(1, False), (0, False), (0, False)]
    assert await marks(store) == {"work/e": "e"}


async def test_a_mark_that_was_damaged_refuses_no_outcome(store: JobStore) -> None:
    await store.submit([unique("a"), unique("b", "work/n")])
    first, second = await claim(store)
    await command(store.redis, "DEL", store.keys.unique)
    await command(store.redis, "SET", store.keys.unique, "x")

    assert [await end(store, started) for started in (first, second)] == ["accepted"] * 2
    assert await states(store, ["a", "b"]) == ["succeeded"] * 2
    await command(store.redis, "DEL", store.keys.unique)


# Replace


async def record(store: JobStore, job_id: str, *fields: str) -> list[str | None]:
    found: Sequence[bytes | None] = await command(store.redis, "HMGET", store.keys.job(job_id), *fields)
    return [None if value is None else value.decode() for value in found]


async def test_a_job_on_a_stream_gets_the_newest_arguments_at_its_place(store: JobStore) -> None:
    await store.submit([replacing("a", args=b'{"n":1}'), job("z")])

    assert await store.submit([replacing("b", args=b'{"n":2}', priority=Priority.low)]) == [replaced("a")]
    assert await store.submit([replacing("a", args=b'{"n":1}')]) == ["existing"]  # said again after a lost reply

    assert await record(store, "a", "args", "call", "priority", "replaced") == ['{"n":2}', "call of b", "1", "1"]
    assert await stream_ids(store) == ["a", "z"]
    started = await claim(store)
    assert [(one.id, one.args) for one in started] == [("a", b'{"n":2}'), ("z", b"{}")]
    assert await store.submit([replacing("c")]) == ["queued"]


async def test_its_reservation_becomes_that_of_its_new_needs(store: JobStore) -> None:
    await publish(store, interval("x", capacity=9), interval("y", capacity=9))
    await store.submit([replacing("a", needs=[("x", 2)]), replacing("b", "work/n"), replacing("c", "work/o", needs=["x"])])
    assert await spoken_for(store, "x") == (3, 2)

    assert await store.submit([replacing("d", needs=[("y", 3)]), replacing("e", "work/n", needs=["y"]), replacing("f", "work/o")]) == [
        *map(replaced, "abc")
    ]

    assert (await spoken_for(store, "x"), await spoken_for(store, "y")) == ((0, 0), (4, 2))
    assert ids(await claim(store)) == ["a", "b", "c"]
    assert (await spoken_for(store, "x"), await spoken_for(store, "y")) == ((0, 0), (0, 0))


async def test_new_needs_of_a_job_on_a_stream_that_are_not_there_make_it_wait_in_line_and_exceed_no_limit(store: JobStore) -> None:
    await publish(store, interval("x", capacity=2))
    await store.submit([job("taker", needs=[("x", 2)]), replacing("a")])
    assert await store.submit([replacing("b", needs=["x"])]) == [replaced("a")]
    assert await spoken_for(store, "x") == (3, 2)

    assert ids(await claim(store)) == ["taker"]

    assert await spoken_for(store, "x") == (0, 0)
    assert await line_ids(store, "1|x") == ["a"]


async def test_a_job_in_line_keeps_its_place_and_moves_to_another_line(store: JobStore) -> None:
    await publish(store, interval("x"), interval("y", capacity=9))
    await store.submit([job("taker", needs=["x"]), job("one", needs=["x"]), replacing("a", needs=["x"]), job("two", needs=["x"])])
    assert await line_ids(store, "1|x") == ["one", "a", "two"]

    assert await store.submit([replacing("b", needs=["x"], args=b"[]")]) == [replaced("a")]
    assert await line_ids(store, "1|x") == ["one", "a", "two"]

    assert await store.submit([replacing("c", needs=["y"])]) == [replaced("a")]
    assert await line_ids(store, "1|x") == ["one", "two"]
    assert await stream_ids(store) == ["taker", "a"]
    assert await record(store, "a", "limits", "line") == ["y=1", "1|y"]


async def test_in_line_it_can_come_to_need_nothing(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit([job("taker", needs=["x"]), replacing("a", needs=["x"])])

    assert await store.submit([replacing("b")]) == [replaced("a")]

    assert await record(store, "a", "limits", "line", "rank", "state") == [None, None, None, "queued"]
    assert await stream_ids(store) == ["taker", "a"]


async def test_a_debounced_job_waits_for_the_last_submission(store: JobStore, clock: Clock) -> None:
    asked: dict[str, Any] = {"delay": 5, "max_delay_us": 12_000_000, "max_wait": 30}
    await store.submit([replacing("a", **asked)])
    for seconds, due in ((3, 8), (7, 12), (10, 12)):
        clock.now_us = START_US + seconds * 1_000_000
        assert await store.submit([replacing(f"at{seconds}", args=b"%d" % seconds, **asked)]) == [replaced("a")]
        assert await scores(store, store.keys.scheduled) == {"a": START_US + due * 1_000_000}
        assert await scores(store, store.keys.expiring) == {"a": START_US + (due + 30) * 1_000_000}

    clock.now_us = START_US + 12_000_000
    await store.promote()
    started = await claim(store)
    assert [(one.id, one.args) for one in started] == [("a", b"10")]
    await store.submit([replacing("next", **asked)])
    assert await scores(store, store.keys.scheduled) == {"next": START_US + 17_000_000}


async def test_an_earlier_instant_interrupts_the_leader(store: JobStore) -> None:
    await store.submit([replacing("a", delay=50)])
    assert await nudged(store)

    await store.submit([replacing("b", delay=1)])

    assert await nudged(store)
    assert await scores(store, store.keys.scheduled) == {"a": START_US + 1_000_000}


async def test_what_has_started_is_not_replaced(store: JobStore) -> None:
    await store.submit([unique("a"), unique("b", "work/n", until_us=60_000_000)])
    started = await claim(store)

    assert await store.submit([replacing("c")]) == [duplicate("a")]
    await finish_all(store, started)
    assert await store.submit([replacing("c"), replacing("d", "work/n")]) == ["queued", duplicate("b")]


# Retry by hand


async def test_a_retry_by_hand_takes_the_mark_again(store: JobStore) -> None:
    await store.submit([unique("a", mode="start")])
    await end(store, (await claim(store))[0], Ending.failed)

    assert await store.retry("a") == "queued"
    assert await store.submit([unique("b", mode="start")]) == [existing("a")]
    await finish_all(store, await claim(store))
    assert await marks(store) == {}


async def test_a_retry_by_hand_of_a_job_whose_mark_another_has_is_refused(store: JobStore) -> None:
    await store.submit([unique("a")])
    await end(store, (await claim(store))[0], Ending.failed)
    await store.submit([unique("b")])

    assert await store.retry("a") == duplicate("b")
    assert await states(store, ["a"]) == ["failed"]
    await store.cancel("b")
    assert await store.retry("a") == "queued"


async def test_a_retry_within_the_period_keeps_it(store: JobStore, clock: Clock) -> None:
    await store.submit([unique("a", until_us=60_000_000)])
    await end(store, (await claim(store))[0], Ending.failed)
    assert await store.retry("a") == "queued"
    await store.cancel("a")

    assert await store.submit([unique("b", until_us=60_000_000)]) == [existing("a")]
    clock.advance(60)
    assert await store.submit([unique("b", until_us=60_000_000)]) == ["queued"]


# The backlog


async def test_a_job_that_is_there_already_needs_no_room(store: JobStore) -> None:
    await store.submit([unique("a"), replacing("s", "work/s")], most_backlog=2)

    again = [unique("b"), unique("a"), replacing("t", "work/s")]
    assert await store.submit(again, most_backlog=2) == [existing("a"), "existing", replaced("s")]
    with pytest.raises(BacklogFull):
        await store.submit([unique("b"), unique("c", "work/n")], most_backlog=2)
    assert set(await marks(store)) == {"work/m", "work/s"}
