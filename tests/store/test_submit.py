"""submit: accepted once whatever is repeated, in the right place, in order."""

from collections.abc import Sequence
from typing import Any

import pytest

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.jobs.submission import Submission
from runner.store.job_store import JobStore
from runner.store.portions import MOST_BYTES, MOST_PER_CALL, fitting, weights_of
from runner.store.scripts import Argument
from tests.store.builders import START_US, Clock, claim, ids, interval, job, jobs, publish, succeeded
from tests.store.inside import all_keys, line_ids, nudged, scores, spoken_for, states, stream_ids, wakes


async def test_a_job_without_limits_is_queued(store: JobStore) -> None:
    assert await store.submit([job("a", task="pay", args=b'{"n":1}', priority=Priority.high)]) == ["queued"]

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.id, status.task, status.state, status.args, status.priority) == ("a", "pay", "queued", {"n": 1}, "high")
    assert (status.attempt, status.failures, status.crashes, status.submitted_at) == (0, 0, 0, START_US / 1e6)
    assert (status.reason, status.limit, status.position, status.eta_s) == ("no worker", None, None, None)


async def test_the_same_job_again_is_the_job_that_exists(store: JobStore) -> None:
    await store.submit([job("a", args=b'{"n":1}')])  # the reply is lost

    assert await store.submit([job("a", args=b'{"n":1}')]) == ["existing"]

    assert await stream_ids(store) == ["a"]


async def test_the_same_waiting_job_again_keeps_its_place(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(4, needs=["x"]))

    assert await store.submit(jobs(4, needs=["x"])) == ["existing"] * 4

    assert await line_ids(store, "1|x") == ["j1", "j2", "j3"]
    assert await stream_ids(store) == ["j0"]
    assert await spoken_for(store, "x") == (1, 1)


async def test_the_same_scheduled_job_again_keeps_its_time(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=5)])
    clock.advance(1)

    assert await store.submit([job("a", delay=5)]) == ["existing"]

    assert await scores(store, store.keys.scheduled) == {"a": START_US + 5_000_000}


@pytest.mark.parametrize("end", [True, False])
async def test_a_job_that_runs_or_has_ended_is_not_submitted_again(store: JobStore, end: bool) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store)
    if end:
        await store.finish("w", [succeeded(started)])

    assert await store.submit([job("a")]) == ["existing"]

    assert await states(store, ["a"]) == ["succeeded" if end else "running"]
    assert await claim(store) == []


@pytest.mark.parametrize("other", [job("a", args=b'{"n":2}'), job("a", task="other", args=b'{"n":1}')], ids=["args", "task"])
async def test_another_job_under_a_taken_id_is_a_conflict_and_changes_nothing(store: JobStore, other: object) -> None:
    await store.submit([job("a", args=b'{"n":1}')])
    before = await command(store.redis, "HGETALL", store.keys.job("a"))

    assert await store.submit([other]) == ["conflict"]  # type: ignore[list-item] # a submission

    assert await command(store.redis, "HGETALL", store.keys.job("a")) == before
    assert await stream_ids(store) == ["a"]


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [("f1", "f1", "existing"), ("f1", "f2", "conflict"), ("f1", "", "conflict"), ("", "f1", "conflict")],
)
async def test_of_two_fingerprints_it_is_known_whether_the_call_is_the_same(store: JobStore, first: str, second: str, answer: str) -> None:
    def called(args: bytes, call: str) -> Submission:
        return job("a", args=args)._replace(has_call=int(bool(call)), call=call)

    await store.submit([called(b'{"n":1}', first)])

    assert await store.submit([called(b'{"n": 1.0}', second), job("b")]) == [answer, "queued"]
    assert await store.submit([called(b'{"n":1}', second)]) == ["existing" if not (first and second) else answer]


async def test_what_the_needs_came_from_is_kept_with_the_job(store: JobStore) -> None:
    batch = [job("a")._replace(spec="0123abcd"), job("b")._replace(spec="0123abcd", has_call=1, call="f"), job("c")]
    await store.submit(batch)

    records = [await command(store.redis, "HMGET", store.keys.job(name), "spec", "call") for name in "abc"]
    assert records == [[b"0123abcd", None], [b"0123abcd", b"f"], [b"", None]]


async def test_metadata_comes_with_each_attempt_and_changes_no_job(store: JobStore) -> None:
    await publish(store, interval("x"))
    batch = [
        *(job("a")._replace(has_call=2, metadata='{"t":"1"}'), job("b"), job("c")._replace(has_call=2, call="f", metadata='{"t":"3"}')),
        job("d", needs=["x"])._replace(has_call=2, metadata='{"t":"4"}', deadline_us=5_000_000),
    ]
    await store.submit(batch)

    assert await store.submit([batch[0]._replace(metadata='{"t":"other"}'), batch[2], batch[3]._replace(has_call=0)]) == ["existing"] * 3
    expected = [("a", b'{"t":"1"}', 0), ("b", b"", 0), ("c", b'{"t":"3"}', 0), ("d", b'{"t":"4"}', 5_000_000)]
    assert [(started.id, started.metadata, started.deadline_us) for started in await claim(store)] == expected


async def test_one_conflict_in_a_batch_stops_only_itself(store: JobStore) -> None:
    await store.submit([job("b", task="other")])

    assert await store.submit([job("a"), job("b"), job("c"), job("a")]) == ["queued", "conflict", "queued", "existing"]

    assert await stream_ids(store) == ["b", "a", "c"]


async def test_nothing_submitted_leaves_nothing(store: JobStore) -> None:
    assert await store.submit([]) == []
    assert await all_keys(store) == []


async def test_a_batch_of_any_size_keeps_its_order(store: JobStore) -> None:
    await publish(store, interval("x"))

    answers = await store.submit(jobs(1203, needs=["x"]))

    assert answers == ["queued"] + ["waiting"] * 1202
    assert await line_ids(store, "1|x") == [f"j{number}" for number in range(1, 1203)]


async def test_an_instant_is_compared_with_the_clock_of_redis(store: JobStore) -> None:
    future, past = job("future")._replace(delay_us=-(START_US + 7)), job("past")._replace(delay_us=-(START_US - 7))

    assert await store.submit([future, past, job("present")._replace(delay_us=-START_US)]) == ["scheduled", "queued", "queued"]

    assert await scores(store, store.keys.scheduled) == {"future": START_US + 7}


async def test_a_delayed_job_is_scheduled_and_wakes_the_leader_only_if_it_is_the_first(store: JobStore) -> None:
    assert await store.submit([job("later", delay=9)]) == ["scheduled"]
    assert await nudged(store)
    assert await store.submit([job("last", delay=10)]) == ["scheduled"]
    assert not await nudged(store)
    assert await store.submit([job("first", delay=8.999999)]) == ["scheduled"]
    assert await nudged(store)

    assert await scores(store, store.keys.scheduled) == {
        "first": START_US + 8_999_999,
        "later": START_US + 9_000_000,
        "last": START_US + 10_000_000,
    }
    assert await stream_ids(store) == []
    (status,) = await store.get(["last"])
    assert status is not None
    assert (status.state, status.reason, status.eta_s) == ("scheduled", "delay", 10.0)


async def test_a_delayed_job_with_a_limit_reserves_nothing_until_it_is_due(store: JobStore) -> None:
    await publish(store, interval("x"))

    assert await store.submit([job("later", delay=9, needs=["x"]), job("now", needs=["x"])]) == ["scheduled", "queued"]

    assert await spoken_for(store, "x") == (1, 1)


async def test_jobs_go_to_the_stream_while_there_are_tokens_and_then_into_their_line(store: JobStore) -> None:
    await publish(store, interval("x", capacity=3))

    assert await store.submit(jobs(5, needs=["x"])) == ["queued"] * 3 + ["waiting"] * 2

    assert await stream_ids(store) == ["j0", "j1", "j2"]
    assert await line_ids(store, "1|x") == ["j3", "j4"]
    assert await spoken_for(store, "x") == (3, 3)


async def test_costs_are_reserved_in_tokens(store: JobStore) -> None:
    await publish(store, interval("x", capacity=10))

    answers = await store.submit([job(needs=[("x", cost)]) for cost in (6, 5, 4)])

    # The third would fit into what is left, but it may not pass the second.
    assert answers == ["queued", "waiting", "waiting"]
    assert await spoken_for(store, "x") == (6, 1)


async def test_nobody_passes_those_who_wait_for_the_same_bucket(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10), interval("y"))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)
    clock.advance(10)

    assert await store.submit([job("other-line", needs=["x", "y"]), job("same-line", needs=["x"])]) == ["waiting", "waiting"]

    assert ids(await claim(store)) == ["j1"]


async def test_the_first_to_wait_sets_a_wake_and_nudges_the_leader(store: JobStore) -> None:
    await publish(store, interval("x", every=10), interval("y", every=9), interval("z", every=11))
    await store.submit([job(needs=[bucket]) for bucket in "xyz"])
    await claim(store)
    await nudged(store)

    nudges = []
    for bucket in "xyzx":
        await store.submit([job(needs=[bucket])])
        nudges.append(await nudged(store))

    assert nudges == [True, True, False, False]
    assert await wakes(store) == {"y": 9_000_000, "x": 10_000_000, "z": 11_000_000}


async def test_a_costly_line_that_joins_does_not_put_off_the_wake_of_those_before_it(store: JobStore) -> None:
    await publish(store, interval("x", capacity=10, every=10), interval("y"))
    await store.submit([job(needs=[("x", 10)])])
    await claim(store)
    await store.submit([job("cheap", needs=["x"])])
    await nudged(store)

    await store.submit([job("costly", needs=[("x", 5)], share="b")])

    assert await wakes(store) == {"x": 10_000_000}
    assert not await nudged(store)


async def test_a_cheaper_job_that_comes_first_need_not_wait_for_the_tokens_of_the_costly_one(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, every=10))
    await store.submit([job("first", needs=[("x", 10)])])
    await claim(store)
    await store.submit([job("costly", needs=[("x", 10)])])
    await nudged(store)
    clock.advance(15)

    assert await store.submit([job("cheap", needs=["x"], priority=Priority.high)]) == ["waiting"]

    assert await nudged(store)
    assert ids(await claim(store)) == ["cheap"]


async def test_a_job_that_comes_first_but_needs_as_much_disturbs_nobody(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)
    await nudged(store)

    await store.submit([job("high", needs=["x"], priority=Priority.high)])

    assert not await nudged(store)
    assert await wakes(store) == {"x": 10_000_000}


@pytest.mark.parametrize("name", ["a:b.c-d_E", "0", "x" * 128])
async def test_any_allowed_id_makes_the_round(store: JobStore, name: str) -> None:
    await publish(store, interval("x"))
    await store.submit([job(name, needs=["x"])])

    (started,) = await claim(store)
    assert started.id == name
    assert await store.finish("w", [succeeded(started)]) == ["accepted"]


async def test_large_jobs_are_submitted_in_calls_that_are_answered_in_time(store: JobStore) -> None:
    """Half a megabyte a call, or one job that is larger; their answers stay in order."""
    sizes = [200_000, 200_000, 200_000, 9_000_000, 10]
    sent = []
    run = store._run

    async def counted(name: str, rest: Sequence[Argument] = (), /, **arguments: Any) -> Any:
        sent.append(arguments["count"])
        return await run(name, rest, **arguments)

    store._run = counted  # type: ignore[method-assign]
    large = [job(f"j{place}", args=b'"' + b"x" * size + b'"') for place, size in enumerate(sizes)]

    assert await store.submit([job("j1", task="other"), *large]) == ["queued", "queued", "conflict", "queued", "queued", "queued"]

    assert sent == [3, 1, 1, 1]


async def test_jobs_of_all_kinds_in_turns_keep_their_order_and_what_each_asks_for(store: JobStore) -> None:
    """What successive jobs have in common is sent once: of these each, or three each."""
    await publish(store, interval("x", capacity=10))
    kinds = [job("plain"), job("other", task="other"), job("low", priority=Priority.low), job("later", delay=1)]
    kinds += [job("limited", needs=["x"]), job("expiring", max_wait=5), job("failing", max_wait=5, on_expiry="fail")]
    mixed = [kind._replace(id=f"{kind.id}-{number}") for number in range(4) for kind in kinds]
    mixed += [kind._replace(id=f"{kind.id}-{number}") for kind in kinds for number in range(4, 7)]

    assert await store.submit(mixed) == ["scheduled" if one.delay_us else "queued" for one in mixed]

    for one in mixed:
        stored = await command(store.redis, "HMGET", store.keys.job(one.id), "task", "args", "priority", "on_expiry", "limits")
        expiry = one.on_expiry.encode() if one.max_wait_us else None
        assert stored == [one.task.encode(), one.args, str(one.priority).encode(), expiry, one.limits.encode() or None]
    assert await store.submit(mixed) == ["existing"] * len(mixed)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [([], 1), ([MOST_BYTES + 1, 1], 1), ([MOST_BYTES, 1], 1), ([MOST_BYTES // 2, MOST_BYTES // 2, 1], 2), ([1] * 600, MOST_PER_CALL)],
)
def test_as_many_payloads_go_into_a_call_as_bytes_and_number_allow(sizes: list[int], count: int) -> None:
    assert fitting(sizes) == count


def test_a_job_counts_more_with_each_bucket_and_line_that_its_call_has_not_met() -> None:
    jobs = [("", ""), ("x=1", "x"), ("x=1", "x"), ("x=2", "x"), ("x=1", "x@t"), ("x=1;y/1=1", "x;y/1"), ("y/1=5", ""), ("", "")]

    assert list(weights_of(jobs)) == [1, 8, 2, 2, 5, 8, 2, 1]
    assert fitting([1] * 600, weights_of((f"x/{n}=1", "") for n in range(600))) == MOST_PER_CALL // 5
