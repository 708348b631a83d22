"""How a worker stops: it drains, gives back the jobs it has not finished, and signs off."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterable

import pytest
from redis.asyncio import Redis

from runner import Runner, StoreUnavailable, TokenBucket, Worker
from runner.jobs.job import Priority, StartedJob
from runner.store.job_store import JobStore
from runner.store.keys import Keys
from runner.store.lease import LeaseStore
from runner.worker.attempts import Attempts
from tests import invariants
from tests.eventually import eventually
from tests.pace import Pace
from tests.recovery import Recovery
from tests.servers import Server
from tests.worker.conftest import Crew, MakeApp, a_crew, nothing_is_stuck, short_settings, state_of, stuck_slots
from tests.worker.handler import Handler


async def test_running_jobs_finish_and_nothing_new_is_claimed(make_app: MakeApp, redis: Redis, queue: str, crew: Crew) -> None:
    app, release, begun = make_app(concurrency=2), asyncio.Event(), []

    @app.task
    async def work() -> str:
        begun.append(1)
        await release.wait()
        return "done"

    worker = await crew.start(app)
    jobs = await app.submit_many([work.prepare() for _ in range(4)])
    await eventually(lambda: len(begun) == 2)

    worker.stop()
    release.set()
    await crew.ended(worker)

    statuses = [await job.status() for job in jobs]
    assert [status.state for status in statuses] == ["succeeded", "succeeded", "queued", "queued"]
    assert await redis.zcard(Keys(queue).workers) == 0
    await redis.delete(Keys(queue).stream(Priority.normal))


async def test_a_lease_lost_while_draining_stops_the_jobs_that_others_run_now(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    app, handler = make_app(drain_s=60), Handler()

    @app.task
    async def work() -> int:
        return await handler.hang_at_first()

    leaves = await crew.start(app)
    job = await work.submit()
    await state_of(app, job.id, "running")
    leaves.stop()
    await redis.zrem(Keys(queue).workers, leaves.id)
    await crew.start(app)

    await eventually(handler.stopped.is_set)
    await crew.ended(leaves)
    assert await job.result(timeout=10) == 2
    assert "has lapsed while it was stopping; others run its jobs" in caplog.text
    assert "going on" not in caplog.text


async def test_a_heartbeat_whose_connections_are_closed_under_its_call_says_nothing_of_it(
    app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waiting, is_closed, close = threading.Event(), threading.Event(), LeaseStore.close

    def closed_meanwhile(_: LeaseStore, __: str) -> None:
        is_waiting.set()
        is_closed.wait()
        raise TypeError("argument must be an int, or have a fileno() method")  # what a poll makes of a socket that is gone

    def closed(lease: LeaseStore) -> None:
        close(lease)
        is_closed.set()

    monkeypatch.setattr(LeaseStore, "wait_for_message", closed_meanwhile)
    monkeypatch.setattr(LeaseStore, "close", closed)
    worker = await crew.start(app)
    await eventually(is_waiting.is_set)
    await crew.stop(worker)

    await eventually(lambda: "runner-heartbeat" not in {thread.name for thread in threading.enumerate()})
    assert "renewal of the lease" not in caplog.text


@pytest.mark.parametrize("hurry", [True, False], ids=["stopped twice", "out of time"])
async def test_jobs_that_do_not_finish_in_time_are_given_back_without_blame(make_app: MakeApp, crew: Crew, *, hurry: bool) -> None:
    app, handler = make_app(drain_s=60 if hurry else 0.2), Handler()

    @app.task
    async def work() -> int:
        return await handler.hang_at_first()

    worker = await crew.start(app)
    job = await work.submit()
    await state_of(app, job.id, "running")

    worker.stop()
    if hurry:
        worker.stop()
    await crew.ended(worker)

    status = await job.status()
    assert (status.state, status.failures, status.crashes) == ("queued", 0, 0)
    assert handler.stopped.is_set()
    await crew.start(app)
    assert await job.result(timeout=5) == 2


async def test_a_plain_function_that_goes_on_is_left_behind_and_its_job_given_back(app: Runner, crew: Crew) -> None:
    release, ran = threading.Event(), list[int]()

    @app.task(limits=[TokenBucket("two", rate="1/h", burst=2)])
    def work() -> int:
        ran.append(1)
        if len(ran) == 1:
            release.wait(20)
        return len(ran)

    worker = await crew.start(app)
    job = await work.submit()
    await eventually(lambda: ran)

    worker.stop()
    worker.stop()
    await crew.ended(worker)

    assert (await job.status()).state == "queued"
    await crew.start(app)
    assert await job.result(timeout=5) == 2
    assert (await (await work.submit()).wait(timeout=0.5)).state == "waiting", "the token of an attempt that had begun came back"
    release.set()


async def test_a_handler_that_ignores_its_cancellation_is_left_behind_and_its_job_given_back(
    app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Handler()

    @app.task
    async def deaf() -> int:
        return await handler.be_deaf_at_first()

    worker = await crew.start(app)
    job = await deaf.submit()
    await handler.begun.wait()

    worker.stop()
    worker.stop()
    await crew.ended(worker)

    assert (await job.status()).state == "queued"
    assert f"job {job.id} (deaf) did not end when it was stopped; it is given back" in caplog.text
    await crew.start(app)
    assert await job.result(timeout=5) == 2
    handler.release()


async def test_a_handler_that_ignores_the_loss_of_its_lease_keeps_its_slot_and_no_other(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew
) -> None:
    app, handler, release = make_app(concurrency=2, lease_s=1.5, renew_s=0.3), Handler(), asyncio.Event()

    @app.task
    async def deaf() -> str:
        await handler.be_deaf_at_first()
        await release.wait()
        return "first"

    @app.task
    async def work() -> str:
        return "second"

    worker = await crew.start(app)
    job = await deaf.submit()
    await handler.begun.wait()
    lost = worker.id
    await redis.zadd(Keys(queue).workers, {lost: 0})

    await eventually(lambda: worker.id != lost and worker.state.is_working and handler.count == 2)
    waiting = await work.submit()
    assert (await waiting.wait(timeout=0.5)).state == "queued", "the slot of the first attempt was given away"
    await eventually(lambda: one_is_stuck(app))
    handler.release()
    release.set()
    assert [await job.result(timeout=5), await waiting.result(timeout=5)] == ["first", "second"]
    await eventually(lambda: nothing_is_stuck(app))


async def one_is_stuck(app: Runner) -> bool:
    return await stuck_slots(app) == 1


async def test_what_was_fetched_but_not_started_goes_back_at_once(app: Runner, redis: Redis, queue: str, crew: Crew) -> None:
    @app.task
    async def work() -> None: ...

    worker = await crew.start(app)
    other = await crew.start(app)
    jobs = []
    for number in range(200):
        jobs += await app.submit_many([work.prepare() for _ in range(3)])
        if number == 20:
            worker.stop()
    await crew.ended(worker)

    for job in jobs:
        status = await job.wait(timeout=5)
        assert (status.state, status.failures, status.crashes) == ("succeeded", 0, 0)
    assert await invariants.violations(redis, queue, [job.id for job in jobs], live=[other.id]) == []


@pytest.mark.fault("F06", bound_s=12)
async def test_workers_stopped_at_random_instants_lose_and_blame_nothing(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    """Workers are stopped once, twice, or cancelled at any point; jobs of a cancelled one go back when its lease lapses."""
    chance, runs = random.Random(6), Counter[int]()
    app = make_app(lease_s=1.0, renew_s=0.2, concurrency=4, drain_s=5, max_crashes=100)

    @app.task(limits=[TokenBucket("steady", rate="400/s", burst=5)])
    async def limited(number: int) -> None:
        runs[number] += 1
        await asyncio.sleep(0.003)

    @app.task
    async def free(number: int) -> None:
        runs[number] += 1
        await asyncio.sleep(0.003)

    jobs = await app.submit_many([(limited if number % 2 else free).prepare(number) for number in range(300)])
    cancelled = 0
    for _ in range(12):
        worker = Worker(app)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(chance.random() * 0.12)
        how = chance.choice(["once", "twice", "cancel"])
        worker.stop()
        if how == "twice":
            worker.stop()
        if how == "cancel":
            cancelled += 1
            running.cancel()
        await asyncio.gather(running, return_exceptions=how == "cancel")
    recovery.begins()
    last = await crew.start(app)
    for job in jobs:
        assert (await job.wait(timeout=10)).state == "succeeded"

    async def all_is_clean() -> bool:
        return not await invariants.left_behind(redis, queue, [last.id])

    await eventually(all_is_clean)
    recovery.ends()
    statuses = [await job.status() for job in jobs]
    assert {status.failures for status in statuses} == {0}
    assert sum(status.crashes for status in statuses) <= 4 * cancelled
    assert all(runs[number] <= status.attempt for number, status in enumerate(statuses))


async def test_a_job_stopped_before_its_first_step_frees_its_slot(make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    app, start = make_app(concurrency=1), Attempts.start

    def start_and_stop(attempts: Attempts, job: StartedJob) -> None:
        start(attempts, job)
        attempts._active_jobs.cancel_all()

    @app.task
    async def work() -> str:
        return "done"

    await crew.start(app)
    with monkeypatch.context() as patched:
        patched.setattr(Attempts, "start", start_and_stop)
        job = await work.submit()
        await eventually(job.status)

    assert await job.result(timeout=5) == "done"


async def test_a_worker_told_to_stop_before_it_has_started_never_works(app: Runner, redis: Redis, queue: str) -> None:
    worker = Worker(app)
    worker.stop()
    await worker.run()

    assert worker.state.is_stopped
    assert await redis.exists(Keys(queue).specs) == 0


async def test_a_worker_that_is_cancelled_leaves_its_jobs_to_its_lease(make_app: MakeApp, crew: Crew) -> None:
    app, handler = make_app(lease_s=1, renew_s=0.2), Handler()

    @app.task
    async def work() -> int:
        return await handler.hang_at_first()

    cancelled = asyncio.create_task(Worker(app).run())
    job = await work.submit()
    await handler.begun.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    await crew.start(app)
    assert await job.result(timeout=10) == 2


async def test_a_worker_waits_for_a_server_that_is_not_there_yet(private_server: Server) -> None:
    app = Runner("away", settings=short_settings(private_server.url))
    private_server.kill()

    @app.task
    async def work() -> str:
        return "done"

    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    with pytest.raises(StoreUnavailable):
        await work.submit()
    assert not running.done()
    private_server.start()

    assert await (await work.submit()).result(timeout=10) == "done"
    worker.stop()
    await running
    await app.close()


@pytest.mark.parametrize("busy", [True, False], ids=["with a job", "idle"])
async def test_a_worker_told_to_stop_while_its_server_is_away_leaves_soon(private_server: Server, pace: Pace, *, busy: bool) -> None:
    app, release = Runner("away", settings=short_settings(private_server.url, command_timeout_s=0.5)), asyncio.Event()
    begun = asyncio.Event()

    @app.task
    async def work() -> None:
        begun.set()
        await release.wait()

    async with a_crew() as crew:
        worker = await crew.start(app)
        if busy:
            await work.submit()
            await begun.wait()
        await app.close()
        private_server.kill()
        release.set()
        worker.stop()

        stopped_s = pace.now_s
        await crew.ended(worker)
        assert pace.now_s - stopped_s < 4


async def test_a_renewal_during_the_sign_off_is_no_lost_lease(
    make_app: MakeApp, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    renew_s = 0.1
    worker = await crew.start(make_app(lease_s=2.0, renew_s=renew_s))
    reconcile, signed_off = JobStore.reconcile, list[int]()

    async def slowly(store: JobStore, worker: str, active_jobs: Iterable[StartedJob], *, leave: bool = False) -> int:
        """Takes so long that a renewal falls between the end of the lease and the end of the worker."""
        given_back = await reconcile(store, worker, active_jobs, leave=leave)
        if leave:
            await asyncio.sleep(10 * renew_s)
            signed_off.append(1)
        return given_back

    monkeypatch.setattr(JobStore, "reconcile", slowly)
    await crew.stop(worker)

    assert signed_off == [1]
    assert "has lapsed" not in caplog.text
