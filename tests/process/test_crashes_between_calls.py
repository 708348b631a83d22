"""A worker that dies between any two of its calls to Redis: whatever it held, its jobs end, once, and no lock or lease stays for ever."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.store import scripts
from runner.store.failpoints import ATTEMPT, COMMANDS
from tests import invariants
from tests.eventually import eventually
from tests.leftovers import immortal_keys, keys_of
from tests.process.apps import LIMITS, PATIENT, App
from tests.process.crew import worker_ids
from tests.process.nursery import Nursery, nursery_of
from tests.recovery import Recovery, Watch

SHORT = {"lease_s": 1.0, "renew_s": 0.2, "reclaim_s": 0.3, "block_s": 0.3, "max_crashes": 100}
RECOVERY_S = 6.0
"""Lease, look of the next leader and 3 s, which is 4.3 s, and the start of the process that takes over."""
AT_ONCE = 6
DIED = 70
SIGNING_ON = ["publish", "time", "calendar", "serve", "heartbeat", "unhold"]
WORKING = ["claim", "xreadgroup", "attempt", "progress", "observe", "finish", "reconcile", "blpop"]
LEADING = [
    "lead",
    "refill",
    "promote",
    "expire",
    "retime",
    "reclaim",
    "scan",
    "orphans",
    "trim",
    "bulk",
    "rouse",
    "sweep",
    "limits",
    "sample",
    "roll",
    "open_pools",
    "repair",
    "advance",
    "adapt",
]
ASKING = [
    "submit",
    "get",
    "cancel",
    "retry",
    "delete",
    "open",
    "link",
    "seal",
    "bulk_begin",
    "bulk_confirm",
    "bulk_stop",
    "take",
    "hold",
    "tend",
    "override",
    "pause",
    "freeze",
    "reset",
    "recall",
    "refresh",
    "forget",
    "change_key",
    "audit",
    "trigger",
    "schedule",
    "set_pause",
    "end_pause",
]
"""What clients send: that an answer of theirs is lost is tried in tests/chaos/test_every_reply_lost.py."""
LOOKING = [
    "workers",
    "exists",
    "xrange",
    "xrevrange",
    "outlook",
    "foresee",
    "check_format",
    "known",
    "tasks",
    "keys",
    "remaining",
    "history",
    "series",
    "spent",
    "day",
    "pools",
    "counts",
    "sharers",
    "cursor_secret",
    "groups",
    "line",
    "buckets",
    "list_pauses",
    "batches",
    "overview",
    "members",
    "schedules",
    "select",
]
"""Reads that change nothing."""
NOT_ALWAYS = ["due", "drowse", "fire", "unpause", "take_ends", "warnings", "exchange", "lease"]
"""What is sent if there are schedules, pauses, hooks, budgets or shared limits: tests/store/test_schedule_faults.py and
tests/process/test_leaders_of_shared_limits.py have a leader die there."""
IN_TESTS = ["lpop"]
"""What the testing kit sends: its queue has no worker that could die."""
HOLDING = ["heartbeat:after=exit@2", "lead:after=exit", "claim:after=exit", "reconcile:after=exit", "blpop:after=exit"]
"""Deaths with a lease, the leader's lock, tokens and slots, or a message just taken off an inbox."""


def test_there_is_no_point_at_which_nobody_dies() -> None:
    points = {*SIGNING_ON, *WORKING, *LEADING, *ASKING, *LOOKING, *NOT_ALWAYS, *IN_TESTS}

    assert points == {*scripts.script_names(), *COMMANDS, ATTEMPT}


def test_a_worker_begins_with_the_scripts_that_it_calls() -> None:
    called = {*SIGNING_ON, *WORKING, *LEADING, *NOT_ALWAYS} & {*scripts.script_names()}

    assert sorted(scripts.OF_WORKERS) == sorted(called)


@pytest.mark.fault("F10", bound_s=RECOVERY_S)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_that_dies_between_any_two_calls_loses_no_job(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery, when: str
) -> None:
    places = [f"{point}:{when}=exit" for point in SIGNING_ON + WORKING + LEADING]
    places += [f"{point}:{when}=exit@3" for point in ("heartbeat", "claim", "attempt")]
    await die_at_each(places, redis, redis_url, queue, tmp_path, recovery)


@pytest.mark.fault("F20", bound_s=RECOVERY_S)
async def test_whatever_a_dead_worker_held_has_a_time_to_live_and_others_go_on(
    redis: Redis, redis_url: str, queue: str, tmp_path: Path, recovery: Recovery
) -> None:
    await die_at_each(HOLDING, redis, redis_url, queue, tmp_path, recovery)


async def die_at_each(places: list[str], redis: Redis, redis_url: str, queue: str, folder: Path, recovery: Recovery) -> None:
    """At each place a worker dies on a queue of its own, and another takes over."""
    room = asyncio.Semaphore(AT_ONCE)
    async with nursery_of(redis_url, folder) as nursery, asyncio.TaskGroup() as group:

        async def scene(number: int, place: str) -> None:
            async with room:
                try:
                    await die_and_be_followed(place, nursery, redis, redis_url, f"{queue}-{number}", folder, recovery)
                except Exception as error:
                    error.add_note(f"the worker died at {place}")
                    raise

        for number, place in enumerate(places):
            group.create_task(scene(number, place))


async def die_and_be_followed(
    place: str, nursery: Nursery, redis: Redis, redis_url: str, queue: str, folder: Path, recovery: Recovery
) -> None:
    """The recovery is from the death of the worker until all its jobs have ended as they must."""
    app = App(redis_url, queue, folder / queue, **SHORT, **PATIENT)
    try:
        victim = await nursery.spawn(queue, failpoints=place, **SHORT)
        ids = await app.submit(app.counted, range(6), 0.05)
        ids += await app.submit(app.metered, range(6, 12))
        ids += await app.submit(app.nap, range(12, 14), delay=0.3)
        assert await nursery.ended(victim) == DIED
        watch = Watch()
        assert {key.rpartition("}:")[2] for key in await immortal_keys(redis, queue)} <= {"starts"}
        follower = await nursery.spawn(queue, **SHORT)

        async def found() -> list[str]:
            live = (await worker_ids(redis, queue)).values()
            return await invariants.violations(redis, queue, ids, limits=LIMITS, runs=app.runs(), live=live)

        async def all_is_well() -> bool:
            return list(await worker_ids(redis, queue)) == [follower] and not await found()

        try:
            await eventually(all_is_well)
        except AssertionError as error:
            raise AssertionError(await found()) from error
        recovery.took(watch)
        assert await invariants.ran_too_often(redis, queue, ids, app.runs(), faults=1) == []
        await nursery.kill(follower)
    finally:
        await app.runner.close()
        if keys := await keys_of(redis, queue):
            await redis.delete(*keys)
