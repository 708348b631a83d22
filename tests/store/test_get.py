"""get and limits: what a caller is told about a job and about a limit is what is really so."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, JobStatus, Outcome, State
from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from runner.store.portions import MOST_PER_CALL, MOST_WATCHED
from runner.store.statuses import Depth, Heavy, StoredResult
from tests.store.builders import START_US, Clock, claim, fail_all, finish_all, interval, job, jobs, publish
from tests.store.inside import all_keys


async def place(store: JobStore, job_id: str) -> tuple[State, str | None, str | None, int | None, float | None]:
    """(state, reason, limit, position, eta in seconds)."""
    (status,) = await store.get([job_id])
    assert status is not None
    return status.state, status.reason, status.bucket, status.position, status.eta_s


async def test_an_unknown_job_is_none_and_watching_it_makes_nothing(store: JobStore) -> None:
    await store.submit([job("a")])

    assert [isinstance(status, JobStatus) and status.id for status in await store.watch(["x", "a", "y"])] == [False, "a", False]
    assert store.keys.job("x") not in await all_keys(store)
    assert await store.get([]) == []


async def test_each_depth_tells_more(store: JobStore) -> None:
    await store.submit([job("good", args=b'{"n": 1}'), job("bad", args=b'{"n": 2}'), job("waits", args=b'{"n": 3}', needs=["x"])])
    good, bad = await claim(store)
    await finish_all(store, [good])
    await fail_all(store, [bad])

    told = {depth: await store.get(["good", "bad", "waits"], depth) for depth in Depth}

    assert [[status.args for status in statuses if status] for statuses in told.values()] == [
        *[[None] * 3] * 2,
        *[[{"n": n} for n in (1, 2, 3)]] * 2,
    ]
    assert [[status.error is not None for status in statuses if status] for statuses in told.values()] == [
        [False] * 3,
        *[[False, True, False]] * 3,
    ]
    assert [statuses[0].result for statuses in told.values() if statuses[0]] == [None, None, None, 1]
    assert {statuses[2].position for statuses in told.values() if statuses[2]} == {1}


async def test_a_call_that_watches_many_tells_of_some_that_have_ended_and_the_others_are_asked_for_again(store: JobStore) -> None:
    await store.submit(jobs(MOST_WATCHED))
    await finish_all(store, started := await claim(store, MOST_PER_CALL))
    await finish_all(store, more := await claim(store, 2))

    told = await store.watch([f"j{n}" for n in range(MOST_WATCHED)])

    ended = {job.id for job in (*started, *more)}
    assert sum(isinstance(status, JobStatus) and status.id in ended for status in told) == MOST_PER_CALL
    assert [status for status in told if isinstance(status, Heavy)] == [Heavy(0)] * 2
    assert sum(isinstance(status, JobStatus) and status.state is State.queued for status in told) == MOST_WATCHED - MOST_PER_CALL - 2


async def test_watching_tells_the_state_of_what_goes_on_and_all_of_what_has_ended(store: JobStore) -> None:
    await store.submit(jobs(2))
    (first, _) = await claim(store)
    await finish_all(store, [first])

    ended, going = await store.watch(["j0", "j1"])

    assert isinstance(ended, JobStatus)
    assert isinstance(going, JobStatus)
    assert (ended.state, ended.result) == ("succeeded", 1)
    assert (going.state, going.args) == ("running", None)


async def test_what_is_large_is_told_by_its_size_and_comes_when_it_is_asked_for_alone(store: JobStore) -> None:
    large = [b'{"text": "' + b"x" * size + b'"}' for size in (100_000, 3_000_000, 3_000_000, 5_000_000)]
    await store.submit([job(f"j{number}", args=args) for number, args in enumerate([b"{}", *large, b'{"n": 5}'])])
    ids = [f"j{number}" for number in range(6)]

    told = await store.get_light(ids)
    found = await store.get([*ids, "j1", "nobody"])

    assert [status.bytes if isinstance(status, Heavy) else status and status.args for status in told] == [{}, *map(len, large), {"n": 5}]
    assert [status and len(str(status.args)) for status in found] == [2, *(len(args) for args in large), 8, len(large[0]), None]
    assert len(str((await store.get_heavy("j4")).args)) == len(large[3])  # type: ignore[union-attr]


@pytest.mark.parametrize("most", [0, 999, 1_000, None])
async def test_a_result_larger_than_is_taken_is_left_out_and_told_by_its_size(store: JobStore, most: int | None) -> None:
    await store.submit([job("large", args=b'{"n": 1}')])
    (one,) = await claim(store)
    await store.finish("w", [Outcome(one, Ending.succeeded, b'"' + b"x" * 998 + b'"', ttl_ms=60_000)])

    status = await store.get_heavy("large", most)

    assert status is not None
    assert (status.state, status.args) == ("succeeded", {"n": 1})
    assert (status.result, status.result_bytes) == ("x" * 998 if most in (1_000, None) else None, 1_000)


async def test_an_error_is_told_whatever_is_taken_of_a_result(store: JobStore) -> None:
    await store.submit([job("bad")])
    await fail_all(store, await claim(store))

    status = await store.get_heavy("bad", 0)

    assert status is not None
    assert status.error is not None
    assert status.result_bytes is None


async def test_a_result_is_told_as_it_is_stored_with_its_end(store: JobStore) -> None:
    await store.submit([job("a"), job("b"), job("c")])
    one, two = (await claim(store))[:2]
    await store.finish("w", [Outcome(one, Ending.succeeded, b'{"n":  1.0}', ttl_ms=60_000)])
    await fail_all(store, [two])
    await command(store.redis, "SET", store.keys.job("other"), "no hash")

    assert await store.stored_result("a") == StoredResult(str(START_US).encode(), b'{"n":  1.0}')
    assert [await store.stored_result(name) for name in ("b", "c", "nobody", "other")] == ["failed", "running", None, None]
    await command(store.redis, "DEL", store.keys.job("other"))


async def test_asking_changes_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit(jobs(3, needs=["x"]))
    await claim(store)
    before = await command(store.redis, "HGETALL", store.keys.bucket("x"))
    clock.advance(25)

    await store.get(["j0", "j1", "j2"])
    await store.limits()

    assert await command(store.redis, "HGETALL", store.keys.bucket("x")) == before


async def test_a_job_on_the_stream_is_queued_and_one_in_line_is_waiting(store: JobStore) -> None:
    await publish(store, interval("x", every=10))
    await store.enlist("w", "{}", ["t:work"])
    await store.submit(jobs(3, needs=["x"]))

    assert await place(store, "j0") == ("queued", None, None, None, None)
    assert await place(store, "j1") == ("waiting", "tokens", "x", 1, 10.0)
    assert await place(store, "j2") == ("waiting", "tokens", "x", 2, 20.0)


async def test_place_and_time_come_nearer(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit(jobs(4, needs=["x"]))
    await claim(store)
    clock.advance(7)
    assert await place(store, "j3") == ("waiting", "tokens", "x", 3, 23.0)

    clock.advance(3)
    await claim(store)

    assert await place(store, "j3") == ("waiting", "tokens", "x", 2, 20.0)


@pytest.mark.parametrize(
    "limit", [TokenBucket("x", rate="2/s", burst=3), interval("x", capacity=3, refill=2, every=5)], ids=["smooth", "interval"]
)
async def test_the_time_told_is_the_time_it_takes(store: JobStore, clock: Clock, limit: TokenBucket) -> None:
    await publish(store, limit)
    await store.submit(jobs(12, needs=["x"]))
    await claim(store)
    told = {f"j{n}": START_US + round(1e6 * ((await place(store, f"j{n}"))[4] or 0)) for n in range(3, 12)}
    seen: dict[str, int] = {}
    while len(seen) < len(told):
        _, next_us = await store.refill()
        clock.advance_us(next_us)
        seen.update({one.id: clock.now_us for one in await claim(store)})

    assert seen == told


async def test_the_scarcest_of_several_limits_is_named(store: JobStore) -> None:
    await publish(store, interval("a", every=10), interval("b", every=30), interval("c", every=20))
    await store.submit(jobs(3, needs=["a", "b", "c"]))

    assert await place(store, "j2") == ("waiting", "tokens", "b", 2, 60.0)


async def test_lines_that_share_a_bucket_are_counted_as_taking_turns(store: JobStore) -> None:
    await publish(store, interval("x", every=1), interval("y", capacity=100))
    await store.submit([job(needs=["x"])])
    await store.submit([*jobs(5, "a", needs=["x"]), *jobs(2, "b", needs=["x", "y"])])

    assert (await place(store, "a0"))[3] == 1
    assert (await place(store, "b1"))[3] == 4
    assert (await place(store, "a4"))[3] == 7


async def test_a_frozen_bucket_is_named_as_the_reason(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit(jobs(2, needs=["x"]))
    await claim(store)
    await command(store.redis, "HSET", store.keys.bucket("x"), "frozen_until", START_US + 50_000_000)

    assert await place(store, "j1") == ("waiting", "frozen", "x", 1, 50.0)
    clock.advance(20)
    (limit,) = await store.limits()
    assert (limit.buckets[0].tokens, limit.buckets[0].frozen_s) == (0, 30.0)
    assert await claim(store) == []


async def test_a_limit_nobody_has_published_is_named(store: JobStore) -> None:
    await store.submit([job("a", needs=["missing"])])

    assert await place(store, "a") == ("waiting", "unpublished", "missing", 1, None)


async def test_a_scheduled_job_tells_when_it_is_due(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a", delay=10)])
    clock.advance(4)
    assert await place(store, "a") == ("scheduled", "delay", None, None, 6.0)
    clock.advance(10)
    assert await place(store, "a") == ("scheduled", "delay", None, None, 0.0)


async def test_a_final_job_has_no_place(store: JobStore) -> None:
    await store.submit(jobs(2))
    good, bad = await claim(store)
    await finish_all(store, [good])
    await fail_all(store, [bad])

    assert await place(store, "j0") == ("succeeded", None, None, None, None)
    assert await place(store, "j1") == ("failed", None, None, None, None)


async def test_watching_a_job_that_has_ended_leaves_it_as_it_is(store: JobStore) -> None:
    await store.submit([job("a")])
    await finish_all(store, await claim(store))
    before = await command(store.redis, "HGETALL", store.keys.job("a"))

    (status,) = await store.watch(["a"])

    assert isinstance(status, JobStatus)
    assert status.state.is_final
    assert await command(store.redis, "HGETALL", store.keys.job("a")) == before


# limits


async def test_an_unused_limit_is_full(store: JobStore) -> None:
    await publish(store, interval("x", capacity=5))

    (limit,) = await store.limits()

    assert (limit.name, limit.policy, limit.override) == ("x", interval("x", capacity=5), None)
    assert [(b.bucket, b.tokens, b.waiting, b.next_token_s, b.frozen_s) for b in limit.buckets] == [("x", 5, 0, 0.0, 0.0)]


async def test_one_limit_is_read_by_its_name(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5), interval("xy"), interval("y", every=10, key="{id}"))
    await store.submit(jobs(3, needs=["y/a"]))
    await claim(store)

    (x,) = await store.limits("x")
    (y,) = await store.limits("y")

    assert (x.name, [bucket.bucket for bucket in x.buckets]) == ("x", ["x"])
    assert (y.name, [(bucket.bucket, bucket.waiting) for bucket in y.buckets]) == ("y", [("y/a", 2)])
    assert [status.name for status in await store.limits()] == ["x", "xy", "y"]
    assert await store.limits("z") == []


async def test_a_used_limit_shows_tokens_waiters_and_its_next_token(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, every=10), TokenBucket("y", rate="1/s", burst=4))
    await store.submit(jobs(5, needs=["x"]))
    await store.submit(jobs(3, "k", needs=["y"]))
    await claim(store)
    clock.advance(0.25)

    x, y = await store.limits()

    assert [(b.tokens, b.waiting, b.next_token_s) for b in x.buckets] == [(0, 3, 9.75)]
    assert [(b.tokens, b.waiting, b.next_token_s) for b in y.buckets] == [(1, 0, 0.75)]


async def test_of_a_keyed_limit_the_buckets_somebody_waits_for_are_shown(store: JobStore) -> None:
    await publish(store, interval("t", every=10, key="{k}"))
    await store.submit([job(needs=[f"t/{key}"]) for key in ("a", "b", "b", "c", "c", "c")])
    await claim(store)

    (limit,) = await store.limits()

    assert sorted((b.bucket, b.waiting) for b in limit.buckets) == [("t/b", 1), ("t/c", 2)]


async def test_only_so_many_buckets_of_a_keyed_limit_are_shown(store: JobStore) -> None:
    await publish(store, interval("t", every=10, key="{k}"))
    await store.submit([job(needs=[f"t/{number // 2}"]) for number in range(20)])

    (limit,) = await store.limits(most_buckets=3)

    assert len(limit.buckets) == 3


async def test_the_bucket_that_is_asked_for_is_shown_however_many_wait(store: JobStore) -> None:
    await publish(store, interval("t", every=10, key="{k}"))
    await store.submit([job(needs=[f"t/{number // 2}"]) for number in range(20)])

    shown = [[b.bucket for b in (await store.limits("t", most_buckets=3, bucket=f"t/{number}"))[0].buckets] for number in range(10)]

    assert [names.count(f"t/{number}") for number, names in enumerate(shown)] == [1] * 10
