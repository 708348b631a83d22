"""What a real worker counts, and that it counts nothing where nobody asks."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import RateLimited, Runner, TokenBucket, Worker, current_job
from runner.client import figures_of
from runner.connection.client import RedisClient
from runner.store import JobStore
from runner.store.claims import Claims
from runner.telemetry import HomeFigures, WorkerCounts
from runner.telemetry.shared_counts import InHand
from runner.worker import gauges_of, readiness_of
from tests.eventually import eventually
from tests.servers import Server
from tests.worker.conftest import Crew, MakeApp, state_of


async def counting(crew: Crew, app: Runner) -> tuple[Worker, WorkerCounts]:
    counts = WorkerCounts(app.tasks, app.limits)
    return await crew.start(app, counts=counts), counts


async def test_a_worker_counts_attempts_errors_waits_and_starts(app: Runner, crew: Crew) -> None:
    provider = TokenBucket("provider", rate="20/s", burst=2)

    @app.task(limits=[provider], max_throttled=5)
    async def call(number: int) -> int:
        if number == 0 and current_job().attempt == 1:
            raise RateLimited("provider", retry_after=0.1)
        return number

    @app.task(retries=0)
    async def broken() -> None:
        raise ValueError("no")

    worker, counts = await counting(crew, app)
    handles = [await call.submit(number) for number in range(8)]
    lost = await broken.submit()
    for handle in handles:
        await handle.result()
    await state_of(app, lost.id, "failed")
    await eventually(lambda: counts.attempts["call", "succeeded"] == 8 and counts.attempts["broken", "failed"] == 1)

    assert counts.attempts["call", "throttled"] == counts.throttled["provider"] >= 1
    assert counts.errors == {"ValueError": 1}
    attempts = 8 + counts.throttled["provider"]
    assert counts.starts == {"provider": attempts}
    assert counts.runs["call"].buckets[-1] == ("+Inf", attempts)
    assert counts.waits["call"].buckets[-1] == ("+Inf", attempts)
    assert counts.token_to_start["provider"].buckets[-1] == ("+Inf", attempts)
    # Of 9 starts at 20 a second after a burst of 2 the last ones have waited; none of that is between the token and the start.
    assert counts.waits["call"].sum_s > 0.3
    assert counts.token_to_start["provider"].sum_s < counts.waits["call"].sum_s
    assert counts.release_delay.buckets[-1][1] > 0
    await eventually(lambda: counts.renewals["renewed"] > 0)
    assert counts.on_loop.calls["finish"].number > 0
    assert counts.on_loop.calls["wait_and_claim"].number > 0
    await eventually(lambda: "heartbeat" in counts.beside.calls)
    assert gauges_of(worker.state).leads
    assert gauges_of(worker.state).is_ready


async def test_outcomes_with_buckets_tell_their_times_too(app: Runner, crew: Crew) -> None:
    """Those of the second pass of the script: what is settled, or given back."""
    provider = TokenBucket("provider", rate="1000/s")

    @app.task(limits=[provider], cost={"provider": 5})
    async def call() -> None:
        current_job().settle("provider", 3)

    _, counts = await counting(crew, app)
    await (await call.submit()).result()
    await eventually(lambda: counts.attempts["call", "succeeded"] == 1)

    assert counts.waits["call"].buckets[-1] == ("+Inf", 1.0)


async def test_without_counts_no_call_is_watched_and_no_times_are_told(app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    stores: list[JobStore] = []
    told: list[Any] = []
    finish = Claims.finish

    async def seen(self: JobStore, *args: Any) -> Any:
        stores.append(self)
        answers = await finish(self, *args)
        told.extend(answers.times)
        return answers

    monkeypatch.setattr(JobStore, "finish", seen)

    @app.task
    async def work() -> None: ...

    worker = await crew.start(app)
    await (await work.submit()).result()

    assert worker.counts is None
    assert told == []
    for client in (stores[0].redis, stores[0]._blocking):
        assert {"execute_command", "execute_pair"} & vars(client).keys() == set()
        assert isinstance(client, RedisClient)


async def test_a_worker_that_stops_is_not_ready_and_says_why(app: Runner, crew: Crew) -> None:
    held = asyncio.Event()

    @app.task
    async def work() -> None:
        await held.wait()

    assert readiness_of(Worker(app).state).why.startswith("the worker starts")
    worker = await crew.start(app)
    job = await work.submit()
    await state_of(app, job.id, "running")
    assert readiness_of(worker.state).holds
    worker.stop()
    assert readiness_of(worker.state) == (False, "the worker drains")
    held.set()
    await worker.wait_until_stopped()
    assert readiness_of(worker.state) == (False, "the worker has stopped")


async def test_a_worker_whose_lease_is_not_renewed_is_not_ready(app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await crew.start(app)
    assert worker._actors is not None
    renewed_s = worker._actors.renewed_s
    monkeypatch.setattr("runner.worker.worker_state.monotonic_s", lambda: renewed_s + 4.1 + 60)

    assert readiness_of(worker.state) == (False, "Redis has not renewed the lease of the worker in time")


async def test_a_blocked_loop_is_counted(make_app: MakeApp, crew: Crew) -> None:
    import time  # noqa: PLC0415 - only this handler blocks

    app = make_app(stall_s=0.1)

    @app.task
    async def block() -> None:
        time.sleep(0.5)  # noqa: ASYNC251 - that is what is tested

    worker = await crew.start(app)
    await (await block.submit()).result()

    assert worker.state.stalls == 1


async def test_the_figures_of_a_queue_are_those_of_its_jobs_limits_and_workers(app: Runner, crew: Crew, redis: Redis) -> None:
    scarce = TokenBucket("scarce", capacity=1, refill=1, every=3600)
    tenant = TokenBucket("tenant", rate="1/h", key="{tenant}")

    @app.task(limits=[scarce])
    async def rare() -> None: ...

    @app.task(limits=[tenant])
    async def keyed(tenant: str) -> None: ...

    await crew.start(app)
    await (await rare.submit()).result()
    for _ in range(3):
        await rare.submit()
    store = app.client._sessions.here.store
    overlook = app.client._sessions.here.overlook
    figures = await figures_of(store, overlook)
    limits = {limit.name: limit for limit in figures.limits}

    assert figures.jobs["waiting", "tokens"] == 3
    assert (figures.workers, figures.slots, figures.has_leader) == (1, 10, True)
    assert (limits["scarce"].capacity, limits["scarce"].available, limits["scarce"].waiting) == (1, 0, 3)
    assert limits["tenant"].available is None
    assert [(pool.name, pool.readers) for pool in figures.pools] == [("default", 1)]
    assert figures.memory_bytes is not None
    assert figures.oldest_wait_s is not None
    await app.client.control.pause("scarce", "test")

    async def is_paused() -> bool:
        return any(limit.is_paused for limit in (await figures_of(store, overlook)).limits)

    await eventually(is_paused)


async def test_the_leader_tells_of_the_hands_of_a_shared_limit_and_of_its_home(
    make_app: MakeApp, crew: Crew, private_server: Server
) -> None:
    app = make_app(shared_url=private_server.url)
    limit = TokenBucket("account", rate="20/s", burst=4, shared=True)

    @app.task(limits=[limit])
    async def call() -> None: ...

    _, counts = await counting(crew, app)
    jobs = [await call.submit() for _ in range(30)]
    home = counts.shared.of("shared")
    await eventually(lambda: home.hands.get("account", InHand(0, 0)).wanted > 0)
    session = app.client._sessions.here

    async def figures() -> Sequence[HomeFigures]:
        return (await figures_of(session.store, session.overlook, session.homes)).homes

    async def is_told() -> bool:
        return [(one.limit, one.queues) for one in await figures()] == [("account", 1)]

    await eventually(is_told)
    for job in jobs:
        await job.result()
    await eventually(lambda: home.used["account"] >= 29)
    assert home.calls.buckets[-1][1] > 1
    assert home.away_s() == 0
    private_server.kill()
    await eventually(lambda: home.away_s() > 0.5)
    assert home.errors > 0
    assert await figures() == ()
    private_server.start()
    await eventually(lambda: home.away_s() == 0, within_s=30)
