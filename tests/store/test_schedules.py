"""What the scripts make of schedules: each instant once, or counted as what became of it; overlap, missed instants, and changes."""

import asyncio
from datetime import UTC, datetime

import pytest

from runner.clock import MICROSECONDS
from runner.jobs.job import Ending, Outcome
from runner.limits import Concurrency
from runner.store.job_store import JobStore
from runner.store.schedules import Change
from tests.store.builders import START_US, Clock, claim, interval, make_store
from tests.store.inside import nudged
from tests.store.schedule_builders import counts, declare_in_code, made, publish_task, put, seconds_until, stands, tick, ticker

_DAY_S = 86_400.0


async def end_of(store: JobStore, ending: Ending = Ending.succeeded) -> None:
    """Run what is ready, to its end."""
    started = await claim(store)
    await store.finish("w", [Outcome(job, ending, b"1") for job in started])


async def test_a_schedule_is_fired_at_its_instants_and_the_jobs_are_named_after_them(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=30, overlap="allow")
    assert seconds_until(await stands(store), clock) == 30
    clock.advance(29.999)
    await tick(store)
    assert await made(store) == []
    clock.advance(0.001)
    await tick(store)
    clock.advance(30)
    await tick(store)
    assert await made(store) == ["20961002T070710Z", "20961002T070740Z"]
    assert await counts(store) == (2, 0, 0, 0)
    started = await claim(store)
    assert [job.task for job in started] == ["work", "work"]


async def test_nothing_is_sent_about_schedules_that_are_not_due_but_one_look(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    for number in range(50):
        await put(store, f"s{number}", every=3_600)
    leader = ticker(store)
    assert await leader.tick() == pytest.approx(3_600)
    before = await _commands(store)
    assert await leader.tick() == pytest.approx(3_600)
    sent = {name: count - before.get(name, 0) for name, count in (await _commands(store)).items() if count > before.get(name, 0)}
    assert sent == {"evalsha": 1, "zrange": 1, "info": 1}


async def _commands(store: JobStore) -> dict[str, int]:
    info = await store.redis.execute_command("INFO", "commandstats")
    text = info if isinstance(info, str) else bytes(info).decode()
    rows = (line.partition(":calls=") for line in text.splitlines() if line.startswith("cmdstat_"))
    return {name.removeprefix("cmdstat_"): int(rest.partition(",")[0]) for name, _, rest in rows}


async def test_an_earlier_instant_interrupts_the_leader(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, "late", every=3_600)
    assert await nudged(store)
    await put(store, "later", every=7_200)
    assert not await nudged(store)
    await put(store, "soon", every=60)
    assert await nudged(store)
    assert (await store.promote_and_look())[2] == 60 * MICROSECONDS


# Missed instants


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("latest", (1, 9, 0, 0)), ("all", (10, 0, 0, 0)), ("skip", (2, 8, 0, 0))],
)
async def test_of_instants_that_passed_the_policy_says_which_run(
    store: JobStore, clock: Clock, missed: str, expected: tuple[int, int, int, int]
) -> None:
    await publish_task(store)
    await put(store, every=10, missed=missed, grace=10, overlap="allow")
    clock.advance(100)
    await tick(store)
    assert await counts(store) == expected
    assert seconds_until(await stands(store), clock) == 10
    assert len(await made(store)) == expected[0]
    assert (await made(store))[-1] == "20961002T070820Z"
    lines = [line for line in await store.audit("-", 100) if line.action == "missed"]
    assert [line.door for line in lines] == ["leader"] * bool(expected[1])


async def test_after_a_year_without_a_leader_every_instant_is_counted(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=1, missed="all", overlap="allow")
    await put(store, "c", cron="* * * * *", overlap="allow")
    clock.advance(20 * _DAY_S)
    await tick(store)
    assert await counts(store) == (100, 20 * 86_400 - 100, 0, 0)
    one, missed, *others = await counts(store, "c")
    assert (one, missed + one, others) == (1, 20 * 1_440, [0, 0])


async def test_instants_in_a_pause_are_not_made_up_for(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, missed="all")
    await store.change_schedule(Change("s", "pause", (await _version(store)), reason="repair"))
    assert (await stands(store)).state == "paused"
    assert (await stands(store)).pause_reason == "repair"
    clock.advance(100)
    await tick(store)
    now_us, (known,) = await store.known_schedules(["s"])
    assert known.status is not None
    assert known.status.spec is not None
    assert known.entry is not None
    nominal = known.status.spec.after(now_us, known.anchor_us or 0)
    assert await store.change_schedule(Change("s", "resume", known.entry.version, nominal_us=nominal, due_us=nominal))
    assert seconds_until(await stands(store), clock) == 10
    assert await counts(store) == (0, 0, 0, 0)
    assert [line.action for line in await store.audit("-", 10)] == ["add", "pause", "resume"]


async def _version(store: JobStore, name: str = "s") -> str:
    _, (known,) = await store.known_schedules([name])
    assert known.entry is not None
    return known.entry.version


# Overlap


async def test_a_run_beside_one_that_has_not_ended_is_skipped(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10)
    for _ in range(3):
        clock.advance(10)
        await tick(store)
    assert await counts(store) == (1, 0, 2, 0)
    assert (await stands(store)).why == "skipped: s:20961002T070650Z had not ended"
    await end_of(store)
    status = await stands(store)
    assert (status.last_state, status.last_ended_at) == ("succeeded", clock.now_us / MICROSECONDS)
    clock.advance(10)
    await tick(store)
    assert await counts(store) == (2, 0, 2, 0)


async def test_one_run_waits_for_the_one_before_it(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="queue")
    for _ in range(4):
        clock.advance(10)
        await tick(store)
    status = await stands(store)
    assert (status.made, status.skipped) == (1, 2)
    assert status.queued_at == (START_US + 20 * MICROSECONDS) / MICROSECONDS
    await end_of(store, Ending.failed)
    assert await nudged(store)
    await tick(store)
    status = await stands(store)
    assert (status.last_job, status.last_state, status.queued_at) == ("s:20961002T070700Z", "failed", None)
    assert await counts(store) == (2, 0, 2, 0)


async def test_the_end_of_a_run_that_was_lost_is_found_by_the_run_that_waits_for_it(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=3_600, overlap="queue")
    for _ in range(2):
        clock.advance(3_600)
        await tick(store)
    await store.redis.execute_command("DEL", store.keys.job((await stands(store)).last_job or ""))
    clock.advance(59)
    await tick(store)
    assert (await stands(store)).made == 1
    clock.advance(1)
    await tick(store)
    assert ((await stands(store)).made, seconds_until(await stands(store), clock)) == (2, 3_540)


async def test_runs_beside_each_other_are_allowed_and_take_their_tokens(store: JobStore, clock: Clock) -> None:
    await publish_task(store, "work", Concurrency("one", 1))
    await put(store, every=10, overlap="allow")
    for _ in range(3):
        clock.advance(10)
        await tick(store)
    assert await counts(store) == (3, 0, 0, 0)
    assert len(await claim(store)) == 1


async def test_a_job_of_a_limited_task_waits_in_line_like_any_other(store: JobStore, clock: Clock) -> None:
    await publish_task(store, "work", interval("x", capacity=1, refill=1, every=1_000))
    await put(store, every=10, overlap="allow")
    for _ in range(2):
        clock.advance(10)
        await tick(store)
    (first, second) = await store.get(["s:20961002T070650Z", "s:20961002T070700Z"])
    assert first is not None
    assert second is not None
    assert (first.state, second.state) == ("queued", "waiting")


# What is refused, or has no room


async def test_a_run_of_a_task_that_nobody_knows_is_refused_and_shown(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, task="gone", every=10)
    clock.advance(10)
    await tick(store)
    assert await counts(store) == (0, 0, 0, 1)
    assert "UnknownTask: unknown task 'gone'" in (await stands(store)).why


async def test_an_id_that_another_job_has_is_refused_and_shown(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await publish_task(store, "other")
    await put(store, every=10, overlap="allow")
    clock.advance(10)
    await tick(store)
    await put(store, task="other", every=10, overlap="allow")
    # Somebody has written it by hand: what has run is due again.
    await store.redis.execute_command("HSET", store.keys.schedule("s"), "nominal", START_US + 10 * MICROSECONDS)
    await store.redis.execute_command("ZADD", store.keys.schedules_due, START_US + 10 * MICROSECONDS, "s")
    await tick(store)
    assert (await stands(store)).why == "refused: another job has the id s:20961002T070650Z"
    assert (await counts(store))[3] == 1


async def test_without_room_a_run_waits_a_second_and_nothing_else_changes(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, max_backlog=1)
    try:
        await publish_task(store)
        await put(store, every=10, missed="all", overlap="allow")
        clock.advance(30)
        assert await ticker(store).tick() == 1.0
        assert await counts(store) == (1, 0, 0, 0)
        assert seconds_until(await stands(store), clock) == -10
        clock.advance(1)
        await end_of(store)
        assert await ticker(store).tick() == 1.0
        assert await counts(store) == (2, 0, 0, 0)
        await end_of(store)
        clock.advance(1)
        await tick(store)
        assert await counts(store) == (3, 0, 0, 0)
    finally:
        await store.close()


# Two leaders, and changes meanwhile


async def test_what_another_leader_has_fired_or_a_person_has_changed_is_left_alone(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="allow")
    clock.advance(10)
    _, _, due = await store.due()
    await tick(store)
    first, second = ticker(store), ticker(store)
    clock.advance(10)
    await asyncio.gather(first.tick(), second.tick())
    assert await counts(store) == (2, 0, 0, 0)
    clock.advance(10)
    await put(store, every=7, overlap="allow")
    assert [one.name for one in due] == ["s"]
    assert await counts(store) == (2, 0, 0, 0)


async def test_a_change_never_runs_what_has_run_and_keeps_the_grid(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="allow")
    clock.advance(12)
    await tick(store)
    await put(store, every=10, overlap="skip")
    assert seconds_until(await stands(store), clock) == 8
    clock.advance_us(-3 * MICROSECONDS)  # Redis's clock goes back
    await put(store, every=10, overlap="allow")
    assert seconds_until(await stands(store), clock) == 11
    assert (await made(store), await counts(store)) == (["20961002T070650Z"], (1, 0, 0, 0))


async def test_a_schedule_that_was_removed_and_added_again_repeats_no_instant(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    start = datetime.fromtimestamp(START_US / MICROSECONDS, UTC)
    await put(store, every=10, start=start, overlap="allow")
    clock.advance(10)
    await tick(store)
    assert await store.change_schedule(Change("s", "remove", await _version(store)))
    clock.advance_us(-5 * MICROSECONDS)
    for overlap in ("allow", "skip"):  # it is remembered for changes too
        await put(store, every=10, start=start, overlap=overlap)
        assert seconds_until(await stands(store), clock) == 15
    assert await counts(store) == (0, 0, 0, 0)


async def test_a_schedule_ends_and_is_kept(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, end=datetime.fromtimestamp(START_US / MICROSECONDS + 15, UTC))
    clock.advance(60)
    await tick(store)
    status = await stands(store)
    assert (status.state, status.next_at, status.made) == ("ended", None, 1)
    assert (await store.promote_and_look())[2] is None


async def test_jitter_is_the_same_for_every_leader_and_the_instant_stays(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    spec = await put(store, every=100, jitter=100, overlap="allow")
    nominal = START_US + 100 * MICROSECONDS
    late_us = spec.due_us(nominal) - nominal
    assert 0 <= late_us < 100 * MICROSECONDS
    clock.advance_us(100 * MICROSECONDS + late_us - 1)
    await tick(store)
    assert await made(store) == []
    clock.advance_us(1)
    await tick(store)
    assert await made(store) == ["20961002T070820Z"]


# Declared in code


async def test_what_no_live_worker_declares_is_dormant_until_one_does_again(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await store.enlist("v", "{}", ["t:work", "s:s"])
    await declare_in_code(store, every=100, missed="all", overlap="allow")
    clock.advance(5)
    assert (await stands(store)).state == "active"
    clock.advance(300)
    assert (await stands(store)).state == "dormant"
    await tick(store)
    assert await counts(store) == (0, 0, 0, 0)
    await store.enlist("v", "{}", ["t:work", "s:s"])
    assert await store.drowse() == (0, [])
    await tick(store)
    assert (await stands(store)).state == "active"
    assert await counts(store) == (3, 0, 0, 0)


async def test_what_is_dormant_for_a_week_is_removed_with_a_line(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await declare_in_code(store, every=100)
    clock.advance(100)
    await tick(store)
    clock.advance(7 * _DAY_S)
    assert await store.drowse() == (0, [])
    clock.advance(1)
    assert await store.drowse() == (0, ["s"])
    assert await store.schedule_names() == []
    (line,) = await store.audit("-", 10)
    assert (line.action, line.target, line.after) == ("remove", "schedule s", "no worker has declared it for 7 days")


async def test_a_damaged_entry_holds_up_no_other_schedule(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    for name in ("a", "b", "c", "d"):
        await put(store, name, every=10)
    key = store.keys.schedules
    await store.redis.execute_command("HSET", key, "a", "nonsense", "b", f"{await _version(store, 'b')} run producer 0 0\n{{}}")
    await store.redis.execute_command("HDEL", key, "d")
    clock.advance(10)
    await tick(store)
    assert await counts(store, "c") == (1, 0, 0, 0)
    assert "was damaged" in ((await stands(store, "a")).fault or "")
    assert "cannot be read" in ((await stands(store, "b")).fault or "")
    await put(store, "a", every=10)
    await put(store, "b", every=10)
    clock.advance(10)
    await tick(store)
    assert await counts(store, "a") == (1, 0, 0, 0)
