"""Jobs that the worker which met them cannot run: they go to one that can, or wait for it, as if that attempt had never begun."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome, StartedJob, State
from runner.limits import Concurrency, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, enlist, ids, job, jobs, make_store, publish, slot
from tests.store.inside import all_keys, bucket_state, field, nudged, scores, stream_ids

ERROR = b'{"type":"InvalidArguments","message":"no"}'


async def disown(store: JobStore, *started: StartedJob, payload: bytes = b"") -> list[str]:
    """The worker cannot run these."""
    return list(await store.finish("w", [Outcome(one, Ending.unknown, payload, 0, 60_000) for one in started]))


async def place(store: JobStore, name: str) -> tuple[State, str | None]:
    (status,) = await store.get([name])
    assert status is not None
    return status.state, status.reason


async def serve(store: JobStore, worker: str, *tasks: str) -> None:
    await store.enlist(worker, "{}", [f"t:{task}" for task in tasks])


async def held(store: JobStore, task: str = "work") -> list[str]:
    return list(await scores(store, store.keys.held(task)))


async def test_a_job_that_another_worker_serves_comes_again_soon_and_then_later_and_later(store: JobStore, clock: Clock) -> None:
    await serve(store, "v", "work")
    await store.submit([job("j")])
    waits = []
    for _ in range(8):
        (started,) = await claim(store)
        assert await disown(store, started) == ["accepted"]
        assert await place(store, "j") == ("scheduled", "bounced")
        _, next_us = await store.promote()
        waits.append(next_us)
        clock.advance_us(next_us)
        await serve(store, "v", "work")
        assert await store.promote() == (1, -1)

    longest = [50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000, 2_000_000, 2_000_000]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True)), waits
    (status,) = await store.get(["j"])
    assert status is not None
    assert (status.failures, status.crashes) == (0, 0)


@pytest.mark.parametrize(
    ("given_s", "least_s", "most_s"), [(None, 1.0, 2.0), (60.0, 60.0, 60.5), (1e9, 3_600.0, 3_600.5), ("damaged", 1.0, 2.0)]
)
async def test_jobs_that_bounce_for_long_move_so_often_together_and_many_at_a_time(
    store: JobStore, clock: Clock, given_s: float | str | None, least_s: float, most_s: float
) -> None:
    bounces = store.keys.bounces
    await serve(store, "v", "work")
    await store.submit([job(f"j{number}") for number in range(20)])
    for number in range(20):
        await store.redis.execute_command("HSET", f"{store.keys.prefix}job:j{number}", "bounced", 9)
    if isinstance(given_s, float):
        await store.redis.execute_command("SET", bounces, round(clock.now_us + given_s * 1e6))
    elif given_s is not None:
        await store.redis.execute_command("LPUSH", bounces, given_s)

    await disown(store, *await claim(store, free=20))

    dues = list((await scores(store, store.keys.scheduled)).values())
    waits_s = [(due - clock.now_us) / 1e6 for due in dues]
    assert len(waits_s) == 20
    assert all(least_s <= wait_s <= most_s for wait_s in waits_s), waits_s
    if given_s == 60.0:
        assert {due % 250_000 for due in dues} == {0}
        assert int(await store.redis.execute_command("GET", bounces)) == clock.now_us + 60_000_000 + 20 * 10_000
    await store.redis.execute_command("DEL", bounces)


async def test_a_bounce_interrupts_the_leader(store: JobStore) -> None:
    await serve(store, "v", "work")
    await store.submit([job("j")])
    await nudged(store)

    await disown(store, *await claim(store))

    assert await nudged(store)


async def test_a_job_that_nobody_serves_waits_for_a_worker_and_starts_when_one_comes(store: JobStore) -> None:
    await store.submit([job("j", task="new"), job("k", task="other")])
    await disown(store, *await claim(store))

    assert await place(store, "j") == ("waiting", "no worker")
    assert await claim(store) == []
    assert not await store.unhold()

    await serve(store, "v", "new")
    assert not await store.unhold()

    assert ids(await claim(store, worker="v")) == ["j"]
    assert await place(store, "k") == ("waiting", "no worker")
    await serve(store, "v", "new", "other")
    await store.unhold()
    assert ids(await claim(store, worker="v")) == ["k"]
    assert not [key for key in await all_keys(store) if "unserved" in key]


async def test_what_was_ended_or_deleted_without_a_word_while_it_waited_for_a_worker_does_not_run(store: JobStore) -> None:
    await store.submit(jobs(3, task="new"))
    await disown(store, *await claim(store))
    await command(store.redis, "HSET", store.keys.job("j0"), "state", "cancelled")  # by a hand, or code that knows of no such lists
    await command(store.redis, "PEXPIRE", store.keys.job("j0"), 60_000)
    await command(store.redis, "DEL", store.keys.job("j1"))

    await serve(store, "v", "new")
    await store.unhold()

    assert ids(await claim(store, worker="v")) == ["j2"]
    assert [key for key in await all_keys(store) if "unserved" in key or key.endswith(":j1")] == []
    assert await command(store.redis, "HGET", store.keys.job("j0"), "state") == b"cancelled"


async def test_a_worker_whose_lease_has_lapsed_serves_nothing(store: JobStore, clock: Clock) -> None:
    await serve(store, "v", "work")
    clock.advance(store.settings.lease_s)
    await store.submit([job("j")])
    assert await place(store, "j") == ("queued", "no worker")
    await disown(store, *await claim(store))

    assert await held(store) == ["j"]


async def test_tokens_and_slots_come_back_as_if_it_had_never_begun(store: JobStore) -> None:
    limits = [TokenBucket("b", rate="1/h", burst=1), SlidingWindow("s", 1, per=3600), Concurrency("c", 1)]
    await publish(store, *limits)
    await store.submit([job("j", needs=["b", "s", slot("c")], task="new"), job("k", needs=["b", "s", slot("c")])])
    (started,) = await claim(store)
    assert started.id == "j"
    assert (await place(store, "k"))[0] == "waiting"

    assert await disown(store, started) == ["accepted"]

    assert ids(await claim(store)) == ["k"]
    assert (await bucket_state(store, "b")).deficit > 0
    assert (await field(store, "s", "used"), await field(store, "c", "used")) == (1, 1)


async def test_a_job_with_limits_comes_back_to_its_old_place_in_line(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("b", rate="1/s", burst=1))
    await store.submit(jobs(4, needs=["b"]))
    (first,) = await claim(store)
    await disown(store, first)
    (second,) = await claim(store)
    assert second.id == "j1"

    await serve(store, "v", "work")
    await store.unhold()
    assert await place(store, "j0") == ("waiting", "tokens")
    clock.advance(1)

    assert ids(await claim(store)) == ["j0"]


async def test_saying_so_twice_is_a_repetition_and_a_late_one_is_stale(store: JobStore) -> None:
    await store.submit([job("j")])
    (started,) = await claim(store)
    assert await disown(store, started, started) == ["accepted", "repeated"]
    assert await disown(store, started) == ["repeated"]

    await serve(store, "v", "work")
    await store.unhold()
    await claim(store, worker="v")

    assert await disown(store, started) == ["stale"]


@pytest.mark.parametrize("is_served", [True, False])
async def test_one_that_was_asked_to_stop_is_cancelled_and_its_tokens_come_back(store: JobStore, is_served: bool) -> None:
    await publish(store, TokenBucket("b", rate="1/h", burst=1))
    if is_served:
        await serve(store, "v", "work")
    await store.submit([job("j", needs=["b"])])
    (started,) = await claim(store)
    await store.cancel("j")

    assert await disown(store, started) == ["accepted"]

    assert (await place(store, "j"))[0] == "cancelled"
    assert (await bucket_state(store, "b")).deficit == 0


async def test_a_job_that_waits_for_a_worker_can_be_cancelled_and_run_again(store: JobStore) -> None:
    await store.submit([job("j")])
    await disown(store, *await claim(store))

    assert await store.cancel("j") == "cancelled"
    assert await held(store) == []
    assert not await store.unhold()
    assert await store.retry("j") == "queued"

    await serve(store, "w", "work")
    assert await place(store, "j") == ("queued", None)
    assert ids(await claim(store)) == ["j"]


@pytest.mark.parametrize("on_expiry", ["expire", "fail"])
async def test_its_max_wait_goes_on(store: JobStore, clock: Clock, on_expiry: str) -> None:
    await store.submit([job("j", max_wait=10, on_expiry=on_expiry)])
    await disown(store, *await claim(store))
    clock.advance(11)

    assert (await store.expire())[0] == 1

    assert (await place(store, "j"))[0] == ("failed" if on_expiry == "fail" else "expired")
    assert await held(store) == []


async def test_jobs_that_wait_for_a_worker_count_for_the_backlog(store: JobStore, redis_url: str, queue: str, clock: Clock) -> None:
    await store.submit(jobs(3, task="new"))
    await disown(store, *await claim(store))
    capped = make_store(redis_url, queue, clock, max_backlog=4)

    answers = await capped.submit_each(jobs(2, "k"))
    await capped.close()

    assert [type(answer).__name__ for answer in answers] == ["Acceptance", "BacklogFull"]


async def test_hundreds_come_back_in_calls_that_follow_each_other(store: JobStore) -> None:
    await store.submit(jobs(200, "a", task="new"))
    while started := await claim(store):
        await disown(store, *started)
    await serve(store, "v", "new")

    calls = 1
    while await store.unhold():
        calls += 1

    assert calls >= 3
    assert len(await stream_ids(store)) == 200


async def test_many_tasks_without_a_worker_do_not_keep_others_waiting(store: JobStore, clock: Clock) -> None:
    await store.submit([job(f"j{number}", task=f"task-{number}") for number in range(60)])
    while started := await claim(store):
        await disown(store, *started)
    await serve(store, "v", "task-59")

    for _ in range(4):
        clock.advance(1)
        await store.unhold()

    assert await stream_ids(store) == ["j59"]


async def test_a_job_whose_worker_is_lost_meanwhile_is_no_worse_off(store: JobStore) -> None:
    await store.submit([job("j")])
    (started,) = await claim(store)
    await crash(store)
    assert await disown(store, started) == ["stale"]

    await enlist(store, "w")
    assert ids(await claim(store)) == ["j"]


async def test_arguments_that_no_live_version_reads_make_a_dead_letter_and_keep_their_tokens(store: JobStore) -> None:
    await publish(store, TokenBucket("b", rate="1/h", burst=1))
    await serve(store, "v", "work")
    await store.submit([job("j", needs=["b"])])

    assert await disown(store, *await claim(store), payload=ERROR) == ["accepted"]

    (status,) = await store.get(["j"])
    assert status is not None
    assert status.error is not None
    assert (status.state, status.error.type) == ("failed", "InvalidArguments")
    assert (await bucket_state(store, "b")).deficit > 0


async def test_arguments_that_another_live_version_reads_wait_for_it(store: JobStore) -> None:
    await store.enlist("v", "{}", ["t:work", "v:work:0123abcd"])
    await store.submit([job("j")])
    await store.redis.execute_command("HSET", store.keys.job("j"), "spec", "0123abcd")

    assert await disown(store, *await claim(store), payload=ERROR) == ["accepted"]

    assert await place(store, "j") == ("scheduled", "bounced")
