"""Cancelling a job wherever it is: it ends once, soon, and as what really happened."""

import asyncio
import threading
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from runner import Backoff, Runner, TokenBucket, UnknownJob
from runner.errors import AlreadyFinished, JobCancelled
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import PATIENCE_S, eventually
from tests.recovery import Recovery
from tests.worker.conftest import Crew, MakeApp, state_of

NEVER = TokenBucket("never", capacity=1, refill=1, every=3600)


async def test_a_running_handler_sees_its_cancellation_at_once_though_renewals_are_far_apart(make_app: MakeApp, crew: Crew) -> None:
    app, seen = make_app(lease_s=5 * PATIENCE_S, renew_s=2 * PATIENCE_S), asyncio.Event()
    begun = asyncio.Event()

    @app.task
    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.set()
            raise

    await crew.start(app)
    job = await work.submit()
    await begun.wait()

    await job.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await seen.wait()
    with pytest.raises(JobCancelled):
        await job.result(timeout=5)
    status = await job.status()
    assert (status.state, status.failures, status.error) == ("cancelled", 0, None)


async def test_a_job_waiting_for_a_token_is_cancelled_and_leaves_no_trace(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    @app.task(limits=[NEVER])
    async def work() -> None: ...

    worker = await crew.start(app)
    first, *waiting = await app.submit_many([work.prepare() for _ in range(3)])
    await first.wait(timeout=5)
    assert (await waiting[0].status()).state == "waiting"

    for job in waiting:
        assert (await job.cancel()).state == "cancelled"

    assert await invariants.left_behind(redis, queue, [worker.id]) == []


async def test_delayed_and_retrying_jobs_are_cancelled(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    @app.task(backoff=Backoff(base=60))
    async def work() -> None:
        raise ValueError

    worker = await crew.start(app)
    delayed = await work.with_options(delay=60).submit()
    retrying = await work.submit()
    await state_of(app, retrying.id, "scheduled")

    for job in (delayed, retrying):
        assert (await job.cancel()).state == "cancelled"

    assert await invariants.violations(redis, queue, [delayed.id, retrying.id], live=[worker.id]) == []


async def test_a_job_cancelled_on_its_stream_never_runs(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    ran = []

    @app.task
    async def work(number: int) -> None:
        ran.append(number)

    jobs = await app.submit_many([work.prepare(number) for number in range(20)])
    for job in jobs[::2]:
        assert (await job.cancel()).state == "cancelled"
    worker = await crew.start(app)
    for job in jobs[1::2]:
        await job.wait(timeout=5)

    assert sorted(ran) == list(range(1, 20, 2))
    assert await invariants.violations(redis, queue, [job.id for job in jobs], live=[worker.id]) == []


async def test_a_cancelled_plain_function_runs_to_its_end_and_then_the_job_is_cancelled(app: Runner, crew: Crew) -> None:
    begun, release = threading.Event(), threading.Event()

    @app.task
    def work() -> int:
        begun.set()
        release.wait(10)
        return 1

    await crew.start(app)
    job = await work.submit()
    await eventually(begun.is_set)
    await job.cancel()

    status = await job.wait(timeout=0.5)
    assert (status.state, status.cancel_requested) == ("running", True)
    release.set()
    assert (await job.wait(timeout=5)).state == "cancelled"


async def test_a_handler_that_finishes_in_spite_of_its_cancellation_has_succeeded(app: Runner, crew: Crew) -> None:
    begun = asyncio.Event()

    @app.task
    async def stubborn() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "charged already"
        return "never"

    await crew.start(app)
    job = await stubborn.submit()
    await begun.wait()
    await job.cancel()

    assert await job.result(timeout=5) == "charged already"
    with pytest.raises(AlreadyFinished):
        await job.cancel()


async def test_a_handler_that_turns_its_cancellation_into_an_error_is_not_retried(app: Runner, crew: Crew) -> None:
    attempts = []

    @app.task(retries=5, backoff=Backoff(base=0.01, cap=0.01))
    async def clumsy() -> None:
        attempts.append(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            raise RuntimeError("while cleaning up") from error

    await crew.start(app)
    job = await clumsy.submit()
    await eventually(lambda: attempts)
    await job.cancel()

    assert (await job.wait(timeout=5)).state == "cancelled"
    assert len(attempts) == 1


async def test_cancelling_twice_is_the_same_and_cancelling_an_unknown_job_an_error(app: Runner, crew: Crew) -> None:
    @app.task
    async def work() -> None: ...

    job = await work.with_options(delay=60).submit()

    assert (await job.cancel()).state == (await job.cancel()).state == "cancelled"
    with pytest.raises(UnknownJob):
        await app.client.cancel("nobody")


@pytest.mark.fault("F33", bound_s=5)
async def test_a_job_cancelled_twice_at_once_in_any_state_ends_once_and_its_id_can_be_used_again(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    app, rival = make_app(), make_app()
    running, release = asyncio.Event(), asyncio.Event()

    @app.task(limits=[NEVER])
    async def limited(kind: str) -> str:
        return kind

    @app.task(retries=3, backoff=Backoff(base=60))
    async def work(kind: str) -> str:
        if kind == "retrying" and not release.is_set():
            raise ValueError(kind)
        if kind == "running" and not release.is_set():
            running.set()
            await asyncio.Event().wait()
        return kind

    worker = await crew.start(app)
    held = await limited.submit("first")
    await held.wait(timeout=5)
    jobs = {
        "waiting": await limited.with_options(id="waiting").submit("waiting"),
        "scheduled": await work.with_options(id="scheduled", delay=60).submit("scheduled"),
        "retrying": await work.with_options(id="retrying").submit("retrying"),
        "running": await work.with_options(id="running").submit("running"),
    }
    await running.wait()
    await state_of(app, "retrying", "scheduled")
    recovery.begins()
    for job in jobs.values():
        await asyncio.gather(*[client.cancel(job.id) for client in (app.client, rival.client, app.client)])
    for job in jobs.values():
        assert (await job.wait(timeout=5)).state == "cancelled"
    recovery.ends()
    await crew.stop(worker)
    jobs["queued"] = await work.with_options(id="queued").submit("queued")
    await asyncio.gather(*[client.cancel("queued") for client in (app.client, rival.client)])

    release.set()
    assert (await work.with_options(id="queued").submit("queued")).id == "queued"
    assert (await jobs["queued"].status()).state == "cancelled", "the same id and arguments are the job that exists"
    live = await crew.start(app)
    for name in ("scheduled", "retrying", "running", "queued"):
        await app.client.retry(name)
        assert await jobs[name].result(timeout=5) == name
    assert await invariants.left_behind(redis, queue, [live.id]) == []
    assert (await jobs["waiting"].status()).state == "cancelled"
    await redis.delete(Keys(queue).history)  # a job that is used again ends twice, which the fixture would report


@pytest.mark.fault("F33")
async def test_cancel_and_finish_at_once_end_each_job_one_way(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    finished = set()

    @app.task
    async def work(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 7))
        finished.add(number)
        return number

    worker = await crew.start(app)

    async def race(number: int) -> tuple[int, str]:
        job = await work.submit(number)
        await asyncio.sleep(0.001 * (number % 5))
        with suppress(AlreadyFinished):
            await job.cancel()
        return number, (await job.wait(timeout=10)).state

    outcomes = [await race(number) for number in range(100)]

    assert {state for _, state in outcomes} <= {"succeeded", "cancelled"}
    assert [number for number, state in outcomes if state == "succeeded" and number not in finished] == []
    assert await invariants.settled_twice(redis, queue) == []
    assert await invariants.left_behind(redis, queue, [worker.id]) == []


async def test_a_slot_is_free_again_after_a_cancellation(make_app: MakeApp, crew: Crew) -> None:
    app, begun = make_app(concurrency=1), list[int]()

    @app.task
    async def work(number: int) -> int:
        begun.append(number)
        if number < 20:
            await asyncio.Event().wait()
        return number

    await crew.start(app)
    for number in range(20):
        job = await work.submit(number)
        await eventually(lambda: begun and begun[-1] == number)  # noqa: B023 - awaited before the next round
        await job.cancel()

    assert await (await work.submit(20)).result(timeout=5) == 20
