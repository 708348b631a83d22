"""A worker through lost scripts, lost keys, lost leases and a blocked event loop: it goes on, and runs no job more often than it must."""

import asyncio
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import JobHandle, Runner, StoreUnavailable, TakeRefused, TokenBucket, UnknownJob, Worker
from runner.jobs.job import Priority
from runner.store.keys import GROUP, Keys
from runner.worker import heartbeat
from tests import invariants
from tests.conftest import connect
from tests.eventually import eventually
from tests.recovery import Recovery
from tests.servers import Server
from tests.worker.conftest import Crew, MakeApp, a_crew, short_settings, state_of
from tests.worker.handler import Handler

LIMIT = TokenBucket("paced", rate="100/s", burst=5)


@pytest.mark.fault("F21")
async def test_a_script_cache_flushed_again_and_again_fails_nothing(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    over = asyncio.Event()

    @app.task(limits=[LIMIT])
    async def call() -> None: ...

    flushing = asyncio.create_task(flushed(app, redis, over))
    worker = await crew.start(app)
    jobs = [await call.submit() for _ in range(100)]
    await done(jobs)
    over.set()

    assert await flushing > 10
    assert {(await job.status()).attempt for job in jobs} == {1}
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[LIMIT], live=[worker.id]) == []


async def flushed(app: Runner, redis: Redis, over: asyncio.Event) -> int:
    """Flush the script cache until it is over; how often."""
    times = 0
    while not over.is_set():
        await redis.script_flush()
        await app.client.check()
        times += 1
        await asyncio.sleep(0.005)
    return times


@pytest.mark.fault("F09")
async def test_a_handler_that_blocks_the_loop_for_two_leases_runs_once_and_is_named(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    app, runs = make_app(lease_s=1, renew_s=0.2, stall_s=0.3), Counter[int]()
    rival = make_app(lease_s=1, renew_s=0.2)
    both = asyncio.Event()

    @app.task
    async def blocks(number: int) -> None:
        runs[number] += 1
        if number == 0:
            await both.wait()
            time.sleep(2)  # noqa: ASYNC251 - the fault under test
        else:
            both.set()
            await asyncio.sleep(0.01)

    worker = await crew.start(app)
    jobs = await app.submit_many([blocks.prepare(number) for number in range(5)])
    with caplog.at_level(logging.WARNING, "runner"):
        await done(jobs)

    assert runs == dict.fromkeys(range(5), 1)
    assert {(await job.status()).crashes for job in jobs} == {0}
    stalls = [record.getMessage() for record in caplog.records if "was blocked" in record.getMessage()]
    assert len(stalls) == 1
    assert "time.sleep(2)" in stalls[0]
    assert rival.settings.lease_s == 1
    assert await invariants.violations(redis, queue, [job.id for job in jobs], live=[worker.id]) == []


async def test_a_worker_whose_lease_was_taken_goes_on_under_a_new_id(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    handler = Handler()

    @app.task
    async def work() -> int:
        return await handler.hang_at_first()

    worker = await crew.start(app)
    other = await crew.start(app)
    job = await work.submit()
    await handler.begun.wait()
    holder = worker if await redis.hget(Keys(queue).job(job.id), "worker") == worker.id.encode() else other
    old = holder.id
    await redis.zrem(Keys(queue).workers, old)

    await eventually(handler.stopped.is_set)
    await eventually(lambda: holder.id != old)
    assert await job.result(timeout=10) == 2
    status = await job.status()
    assert (status.attempt, status.failures) == (2, 0)
    await eventually(lambda: clean(redis, queue, [job], crew))


async def test_a_lease_that_ran_out_with_a_busy_worker_is_noticed_by_the_heartbeat(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew
) -> None:
    app, handler = make_app(concurrency=1), Handler()

    @app.task
    async def work() -> None:
        await handler.hang_at_first()

    worker = await crew.start(app)
    old = worker.id
    job = await work.submit()
    await handler.begun.wait()
    await redis.zadd(Keys(queue).workers, {old: 0})

    await eventually(lambda: worker.id != old)
    await done([job])


async def test_a_renewal_that_fails_unexpectedly_is_tried_again(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    app, runs = make_app(lease_s=1.5, renew_s=0.3, failpoints="heartbeat:after=raise@3"), list[int]()

    @app.task
    async def work() -> None:
        runs.append(1)
        await asyncio.sleep(2.5)

    worker = await crew.start(app)
    name = worker.id
    await done([await work.submit()])

    assert "failpoint heartbeat:after" in caplog.text
    assert worker.id == name
    assert runs == [1]


async def test_after_an_outage_longer_than_the_lease_workers_get_time_to_renew(
    private_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "RETRY_S", 2.0)  # longer than the leader waits with its first reclaim
    app, runs = Runner("outage", settings=short_settings(private_server.url, lease_s=1, renew_s=0.2, reclaim_s=3.0)), list[int]()

    @app.task
    async def work(seconds: float) -> None:
        runs.append(1)
        await asyncio.sleep(seconds)

    async with a_crew() as crew:
        workers = [await crew.start(app) for _ in range(2)]
        ids = crew.ids
        jobs = await app.submit_many([work.prepare(5.0) for _ in range(20)])
        await eventually(lambda: len(runs) == 20)
        private_server.kill()
        await asyncio.sleep(1.2)
        private_server.start()

        await eventually(lambda: ended(app, jobs))
        assert len(runs) == 20
        assert [worker.id for worker in workers] == ids
        await app.close()


@pytest.mark.fault("F22", bound_s=5)
async def test_everything_deleted_workers_enlist_and_publish_again(private_server: Server, recovery: Recovery) -> None:
    app = Runner("flushed", settings=short_settings(private_server.url))
    begun = asyncio.Event()

    @app.task
    async def work(number: int) -> int:
        begun.set()
        if number < 0:
            await asyncio.Event().wait()
        return number

    async with a_crew() as crew, connect(private_server.url) as redis:
        worker = await crew.start(app)
        old = worker.id
        await work.submit(-1)
        await begun.wait()
        await redis.flushall()
        recovery.begins()

        await eventually(lambda: worker.id != old)
        await eventually(lambda: redis.exists(Keys("flushed").specs))
        job = await app.client.submit("work", {"number": 7})
        assert await job.result(timeout=10) == 7
        recovery.ends()
        assert await invariants.violations(redis, "flushed", [job.id], live=[worker.id]) == []
        await app.close()


async def test_everything_deleted_a_producer_without_workers_publishes_again(
    app: Runner, redis: Redis, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.limit(LIMIT)
    await app.take(LIMIT)
    published = await redis.hget(Keys(queue).limits, LIMIT.name) or ""
    await redis.delete(Keys(queue).limits)
    with pytest.raises(TakeRefused, match="unpublished"):
        await app.take(LIMIT)

    async def lets_through() -> bool:
        try:
            await app.take(LIMIT)
        except TakeRefused:
            return False
        return True

    monkeypatch.setattr(app._publication, "_refresh_s", 0.0)
    await eventually(lets_through)

    again = await redis.hget(Keys(queue).limits, LIMIT.name) or ""
    assert json.loads(again)["code"] == json.loads(published)["code"]


@pytest.mark.fault("F22", bound_s=5)
@pytest.mark.parametrize("fault", ["group destroyed", "streams deleted"])
async def test_workers_recover_from_a_lost_group_or_stream(
    app: Runner, redis: Redis, queue: str, crew: Crew, recovery: Recovery, fault: str
) -> None:
    @app.task
    async def work(number: int) -> int:
        return number

    await crew.start(app)
    await crew.start(app)
    for number in range(3):
        await done([await work.submit(number)])
        for priority in Priority:
            stream = Keys(queue).stream(priority)
            await (redis.delete(stream) if fault == "streams deleted" else redis.xgroup_destroy(stream, GROUP))
        recovery.begins()
        jobs = await app.submit_many([work.prepare(number) for _ in range(20)])
        await done(jobs)
        recovery.ends()
    assert await invariants.left_behind(redis, queue, crew.ids) == []


@pytest.mark.fault("F22")
async def test_jobs_running_when_their_group_is_destroyed_end_once(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    release, begun = asyncio.Event(), list[int]()

    @app.task
    async def work(number: int) -> int:
        begun.append(number)
        await release.wait()
        return number

    await crew.start(app)
    jobs = await app.submit_many([work.prepare(number) for number in range(5)])
    await eventually(lambda: len(begun) == 5)
    await redis.xgroup_destroy(Keys(queue).stream(Priority.normal), GROUP)
    more = await app.submit_many([work.prepare(number) for number in range(5, 10)])
    await eventually(lambda: set(begun) == set(range(10)))
    release.set()

    await done(jobs + more)
    await eventually(lambda: clean(redis, queue, jobs + more, crew))


@pytest.mark.fault("F22")
async def test_entries_delivered_again_to_a_small_worker_are_left_to_the_one_that_runs_them(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew
) -> None:
    """The small worker gets more entries than it has slots, all older than the last one it has seen; then the worker that runs them is lost."""
    many, few = make_app(concurrency=20, lease_s=2.0, renew_s=0.3), make_app(concurrency=2, lease_s=2.0, renew_s=0.3)
    begun, release = list[int](), asyncio.Event()

    async def work(number: int) -> int:
        begun.append(number)
        await release.wait()
        return number

    for app in (many, few):
        app.task(work)
    busy = Worker(many)
    running = asyncio.create_task(busy.run())
    jobs = await many.submit_many([many.tasks["work"].prepare(number) for number in range(20)])
    await eventually(lambda: len(begun) == 20)
    small = await crew.start(few)
    jobs += await many.submit_many([many.tasks["work"].prepare(20)])
    await eventually(lambda: len(begun) == 21)
    turns = {await redis.hget(Keys(queue).worker(small.id), "turn")}
    await redis.xgroup_destroy(Keys(queue).stream(Priority.normal), GROUP)

    async def is_as_it_was() -> bool:
        rows = await redis.xinfo_consumers(Keys(queue).stream(Priority.normal), GROUP)
        return {row["name"].decode(): row["pending"] for row in rows} == {busy.id: 20, small.id: 1}

    async def has_compared_its_books() -> bool:
        turns.add(await redis.hget(Keys(queue).worker(small.id), "turn"))
        return len(turns) > 2  # the first turn, the one after the group was lost, and the one of the regular reconcile

    await eventually(has_compared_its_books)
    await eventually(is_as_it_was)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    release.set()
    await done(jobs)
    assert await invariants.left_behind(redis, queue, crew.ids) == []


@pytest.mark.fault("F36", bound_s=2)
async def test_garbage_on_a_stream_is_dropped_and_the_worker_lives(
    app: Runner, redis: Redis, queue: str, crew: Crew, recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task
    async def work() -> None: ...

    worker = await crew.start(app)
    recovery.begins()
    for fields in ({"id": "nobody"}, {"other": "field"}, {"id": ""}, {"a": "b", "id": "c"}, {"id": "\xff" * 5000}):
        await redis.xadd(Keys(queue).stream(Priority.high), fields)  # type: ignore[arg-type] # a dict of texts
    await done([await work.submit()])

    await eventually(lambda: clean(redis, queue, [], crew))
    recovery.ends()
    assert not worker.state.is_stopped
    dropped = [re.match(r"(\d+) stream entries belonged to no job", record.getMessage()) for record in caplog.records]
    assert sum(int(match[1]) for match in dropped if match) == 5


@pytest.mark.fault("F36", bound_s=2)
async def test_a_job_record_that_was_damaged_is_a_dead_letter_or_dropped(
    app: Runner, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    @app.task
    async def work(number: int) -> int:
        return number

    damaged = await app.submit_many([work.prepare(number) for number in range(10)])
    keys = [Keys(queue).job(job.id) for job in damaged]
    await redis.hset(keys[0], "args", "{broken")
    await redis.hset(keys[1], "args", "\xff\xfe")
    await redis.hset(keys[2], "task", "nobody")
    await redis.hdel(keys[3], "task")
    await redis.hdel(keys[4], "args")
    await redis.hdel(keys[5], "priority", "submitted")
    await redis.hset(keys[6], "attempt", "many")
    await redis.hset(keys[7], "limits", "gibberish")
    await redis.delete(keys[8], keys[9])
    await redis.set(keys[9], "no hash")
    late = await work.with_options(delay=0.1).submit(1)
    await redis.hdel(Keys(queue).job(late.id), "priority", "args")
    await crew.start(app)

    recovery.begins()
    await state_of(app, damaged[2].id, "waiting")
    await damaged[2].cancel()
    ends = [await job.wait(timeout=5) for job in damaged[:8]]
    await done([await work.submit(7)])
    recovery.ends()
    assert [end.error and end.error.type for end in ends] == [
        *["InvalidArguments", "InvalidArguments", None],
        *["damaged", "damaged", None, None, "damaged"],
    ]
    assert [end.state for end in ends] == ["failed", "failed", "cancelled", "failed", "failed", "succeeded", "succeeded", "failed"]
    assert (await late.wait(timeout=5)).state == "failed"
    for gone in damaged[8:]:
        with pytest.raises(UnknownJob):
            await gone.status()
    await redis.delete(keys[9])
    assert await invariants.left_behind(redis, queue, crew.ids) == []


async def ended(app: Runner, jobs: Sequence[JobHandle[Any]]) -> bool:
    try:
        statuses = await app.client.statuses([job.id for job in jobs])
    except StoreUnavailable:
        return False
    return all(status is not None and status.state.is_final for status in statuses)


async def clean(redis: Redis, queue: str, jobs: Sequence[JobHandle[Any]], crew: Crew) -> bool:
    return not await invariants.violations(redis, queue, [job.id for job in jobs], live=crew.ids)


async def done(jobs: Sequence[JobHandle[Any]]) -> None:
    for job in jobs:
        assert (await job.wait(timeout=30)).state == "succeeded"
