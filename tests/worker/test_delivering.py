"""Outcomes on their way to Redis: one that is refused, or takes long to send, holds up no other."""

import asyncio
import logging

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runner import Concurrency, JobFailed, Runner, StoreUnavailable
from runner.jobs import Outcome
from runner.store import FinishAnswers, JobStore
from runner.store.keys import Keys
from runner.store.portions import MOST_SMALL
from runner.worker import large_outcomes
from tests import invariants
from tests.eventually import eventually
from tests.worker.conftest import Crew, state_of

SLOTS = Concurrency("slots", 5)


@pytest.mark.fault("X05")
async def test_records_damaged_while_their_jobs_run_cost_these_jobs_and_no_other(
    app: Runner, redis: Redis, queue: str, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()

    @app.task(limits=[SLOTS])
    async def slotted() -> int:
        await release.wait()
        return 1

    @app.task(retries=1)
    async def work(number: int) -> int:
        await release.wait()
        if number == 2:
            raise ValueError("no")
        return number

    worker = await crew.start(app)
    name = worker.id
    jobs = await app.submit_many([work.prepare(number) for number in range(7)])
    holder = await slotted.submit()
    for job in [*jobs, holder]:
        await state_of(app, job.id, "running")
    keys = [Keys(queue).job(job.id) for job in jobs]
    await redis.hdel(keys[1], "task")
    await redis.hset(keys[2], "failures", "many")
    await redis.delete(keys[3], keys[4])
    await redis.set(keys[4], "no hash")
    await redis.hset(keys[5], mapping={"expires": str(2**63), "priority": "seven", "rank": "first"})
    await redis.hset(Keys(queue).job(holder.id), "started", "then")
    release.set()

    for place in (0, 6):
        assert (await jobs[place].wait(timeout=10)).result == place

    async def has_ended() -> bool:
        states = [await redis.hget(key, "state") for key in (keys[1], keys[2], keys[5], Keys(queue).job(holder.id))]
        return states == [b"succeeded", b"failed", b"succeeded", b"succeeded"]

    await eventually(has_ended)
    error = await redis.hget(keys[2], "error")
    assert error is not None
    assert b"OutcomeRefused" in error
    assert b"not an integer" in error
    assert "is refused, so it becomes a dead letter" in caplog.text
    assert worker.id == name
    await redis.delete(keys[4])
    await eventually(lambda: nothing_left(redis, queue, crew))


async def nothing_left(redis: Redis, queue: str, crew: Crew) -> bool:
    return not await invariants.left_behind(redis, queue, crew.ids)


async def test_a_call_that_is_refused_as_a_whole_is_made_one_by_one(
    app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish, bad, calls = JobStore.finish, set[str](), list[int]()

    async def choosy_finish(store: JobStore, worker: str, outcomes: list[Outcome]) -> FinishAnswers:
        calls.append(len(outcomes))
        if {outcome.job.id for outcome in outcomes if outcome.ending != "refused"} & bad:
            raise ResponseError("ERR user_script:1: attempt to index nothing")
        return await finish(store, worker, outcomes)

    release = asyncio.Event()

    @app.task
    async def work(number: int) -> int:
        await release.wait()
        return number

    monkeypatch.setattr(JobStore, "finish", choosy_finish)
    await crew.start(app)
    jobs = await app.submit_many([work.prepare(number) for number in range(8)])
    for job in jobs:
        await state_of(app, job.id, "running")
    bad.add(jobs[3].id)
    release.set()

    with pytest.raises(JobFailed, match="OutcomeRefused: its outcome \\(succeeded\\) was refused: ResponseError: ERR user_script"):
        await jobs[3].result(timeout=10)
    for number in {*range(8)} - {3}:
        assert await jobs[number].result(timeout=10) == number


async def test_an_outcome_that_is_refused_in_every_form_is_let_go(
    app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish, bad = JobStore.finish, set[str]()

    async def choosy_finish(store: JobStore, worker: str, outcomes: list[Outcome]) -> FinishAnswers:
        if {outcome.job.id for outcome in outcomes} & bad:
            raise ResponseError("ERR no")
        return await finish(store, worker, outcomes)

    @app.task
    async def work() -> int:
        bad.update(names)
        return 1

    names: list[str] = []
    monkeypatch.setattr(JobStore, "finish", choosy_finish)
    worker = await crew.start(app)
    job = await work.with_options(delay=0.2).submit()
    names.append(job.id)

    await eventually(lambda: f"job {job.id} (work) cannot be ended" in caplog.text)
    bad.clear()
    names.clear()
    other = await work.submit()
    assert await other.result(timeout=10) == 1
    await crew.stop(worker)  # which gives the job back
    assert not worker.state.is_enlisted
    await crew.start(app)
    assert await job.result(timeout=10) == 1


async def test_a_large_result_holds_up_no_small_one(app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, arrives, sent = JobStore.finish, asyncio.Event(), list[int]()

    async def slow_finish(store: JobStore, worker: str, outcomes: list[Outcome]) -> FinishAnswers:
        size = sum(len(outcome.payload) for outcome in outcomes)
        if size > MOST_SMALL and not arrives.is_set():
            sent.append(len(outcomes))
            await arrives.wait()
        return await finish(store, worker, outcomes)

    @app.task
    async def work(size: int) -> str:
        return "x" * size

    monkeypatch.setattr(JobStore, "finish", slow_finish)
    await crew.start(app)
    large = await app.submit_many([work.prepare(MOST_SMALL) for _ in range(2)])
    await eventually(lambda: sent)
    small = await app.submit_many([work.prepare(10) for _ in range(20)])
    for job in small:
        assert (await job.wait(timeout=10)).state == "succeeded"

    assert sent == [1]
    arrives.set()
    for job in large:
        assert len(await job.result(timeout=10)) == MOST_SMALL


async def test_a_large_result_that_never_arrives_while_small_ones_do_is_a_dead_letter(
    app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish, tries = JobStore.finish, list[int]()

    async def narrow_finish(store: JobStore, worker: str, outcomes: list[Outcome]) -> FinishAnswers:
        if sum(len(outcome.payload) for outcome in outcomes) > 1_000_000:
            tries.append(1)
            raise StoreUnavailable("no answer within 1.5 s")
        return await finish(store, worker, outcomes)

    @app.task
    async def work(size: int) -> str:
        return "x" * size

    monkeypatch.setattr(JobStore, "finish", narrow_finish)
    monkeypatch.setattr(large_outcomes, "_LEAST_PATIENCE_S", 1.0)
    caplog.set_level(logging.ERROR, "runner")
    await crew.start(app)
    job = await work.submit(2_000_000)
    await eventually(lambda: len(tries) > 8)  # nothing small goes: it may be an outage
    assert (await job.status()).state == "running"

    middle = await work.submit(200_000)
    assert len(await middle.result(timeout=10)) == 200_000
    await work.submit(1)
    with pytest.raises(JobFailed, match=r"ResultUndeliverable: its result of 2000002 bytes was sent \d+ times in vain, .* kB/s"):
        await job.result(timeout=10)
