"""Dependencies: where and when they are made and ended, and what their errors come to; what a worker adds, in real workers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import pytest

from runner import Depends, JobContext, JobFailed, RateLimited, Runner, TokenBucket, current_job, injected
from runner.testing import run
from tests.eventually import eventually
from tests.worker.conftest import Crew, state_of

events: list[str] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    events.clear()


async def get_session(job: JobContext = injected) -> AsyncIterator[str]:
    events.append("begin")
    try:
        yield f"session of {job.id}"
    except BaseException as error:
        events.append(f"roll back, {type(error).__name__}")
        raise
    else:
        events.append("commit")


Session = Annotated[str, Depends(get_session)]


def thread_name() -> Iterator[str]:
    name = threading.current_thread().name
    yield name
    events.append(f"same thread: {threading.current_thread().name == name}, job {current_job().id}")


async def test_a_job_gets_what_is_made_for_it_and_it_ends_before_the_outcome(app: Runner, crew: Crew) -> None:
    @app.task
    async def charge(order: str, *, session: Session = injected) -> str:
        return f"{order} in {session}"

    await crew.start(app)
    job = await charge.with_options(id="j1").submit("o")
    assert await job.result(timeout=5) == "o in session of j1"
    assert events == ["begin", "commit"]


async def test_every_error_of_the_handler_goes_through_them(local_app: Runner) -> None:
    @local_app.task(retries=0, limits=[TokenBucket("pay", rate="100/s", burst=10)], max_throttled=1, timeout=0.01)
    async def fail(how: str, *, session: Session = injected) -> None:
        events.append(how)
        if how == "throttled":
            raise RateLimited
        if how == "error":
            raise ValueError(session)
        await asyncio.sleep(60)

    for how, kind in (("error", "ValueError"), ("throttled", "RateLimited"), ("slow", "CancelledError")):
        events.clear()
        assert (await run(fail, how)).state == "failed"
        assert events[:3] == ["begin", how, f"roll back, {kind}"]


async def test_an_error_of_the_end_is_a_failed_attempt(local_app: Runner) -> None:
    async def transaction() -> AsyncIterator[None]:
        yield
        events.append("commit")
        if len(events) < 2:
            raise ConnectionError("the commit was lost")

    @local_app.task(retries=1)
    async def charge(_: Annotated[None, Depends(transaction)] = injected) -> int:
        return current_job().failures

    assert (await run(charge)).result == 1
    assert events == ["commit", "commit"]


async def test_a_plain_task_has_its_plain_ones_in_its_thread(app: Runner, crew: Crew) -> None:
    @app.task
    def charge(*, name: Annotated[str, Depends(thread_name)] = injected, session: Session = injected) -> tuple[str, str, str]:
        return name, threading.current_thread().name, session

    await crew.start(app)
    made_in, ran_in, session = await (await charge.with_options(id="j2").submit()).result(timeout=5)
    assert made_in == ran_in
    assert ran_in.startswith("runner-task-")
    assert session == "session of j2"
    assert events == ["begin", "same thread: True, job j2", "commit"]


async def test_what_is_around_a_thread_ends_after_it_also_past_a_time_out(app: Runner, crew: Crew) -> None:
    done = threading.Event()

    @app.task(timeout=0.05, retries=0)
    def slow(*, session: Session = injected) -> None:
        done.wait(10)
        events.append(f"thread ends {session[:7]}")

    await crew.start(app)
    job = await slow.submit()
    await asyncio.sleep(0.3)
    assert events == ["begin"]
    done.set()
    with pytest.raises(JobFailed, match="time-out"):
        await job.result(timeout=5)
    assert events == ["begin", "thread ends session", "roll back, CancelledError"]


async def test_a_value_per_worker_is_made_once_and_closed_in_its_own_task(app: Runner, crew: Crew) -> None:
    tasks: list[object] = []

    async def get_pool() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        events.append("open")
        await asyncio.sleep(0.05)  # others ask for it meanwhile
        async with asyncio.timeout(60):  # a scope that only this task may leave
            yield "pool"
        events.append("close")
        tasks.append(asyncio.current_task())

    def get_size(pool: Annotated[str, Depends(get_pool, per="worker")]) -> int:
        return len(pool)

    size_of_pool = Depends(get_size, per="worker")

    @app.task
    async def charge(*, size: Annotated[int, size_of_pool] = injected) -> int:
        return size

    @app.task
    def plain(*, size: Annotated[int, size_of_pool] = injected) -> int:
        return size

    worker = await crew.start(app)
    handles = await app.submit_many([charge.prepare() for _ in range(10)])
    handles += await app.submit_many([plain.prepare() for _ in range(10)])
    assert [await handle.result(timeout=5) for handle in handles] == [4] * 20
    assert events == ["open"]
    await crew.stop(worker)
    assert events == ["open", "close"]
    assert tasks[0] is tasks[1]


async def test_a_value_per_worker_that_could_not_be_made_is_tried_again(app: Runner, crew: Crew) -> None:
    async def get_pool() -> str:
        events.append("try")
        if len(events) == 1:
            await asyncio.sleep(0.05)
            raise ConnectionError("no pool")
        return "pool"

    @app.task(retries=0)
    async def charge(*, pool: Annotated[str, Depends(get_pool, per="worker")] = injected) -> str:
        return pool

    await crew.start(app)
    with pytest.raises(JobFailed, match="ConnectionError: no pool"):
        await (await charge.submit()).result(timeout=5)
    assert await (await charge.submit()).result(timeout=5) == "pool"
    assert events == ["try", "try"]


async def test_an_attempt_that_times_out_stops_no_value_per_worker(app: Runner, crew: Crew) -> None:
    go_on = asyncio.Event()

    async def get_pool() -> str:
        events.append("begin")
        await go_on.wait()
        return "pool"

    @app.task(retries=0, timeout=0.1)
    async def charge(*, pool: Annotated[str, Depends(get_pool, per="worker")] = injected) -> str:
        return pool

    await crew.start(app)
    with pytest.raises(JobFailed, match="time-out"):
        await (await charge.submit()).result(timeout=5)
    go_on.set()
    assert await (await charge.submit()).result(timeout=5) == "pool"
    assert events == ["begin"]


async def test_overrides_reach_a_worker_that_runs(app: Runner, crew: Crew) -> None:
    def get_client() -> str:
        return "real"

    @app.task
    async def charge(*, client: Annotated[str, Depends(get_client)] = injected) -> str:
        return client

    await crew.start(app)
    with app.overrides({get_client: lambda: "fake"}):
        assert await (await charge.submit()).result(timeout=5) == "fake"
    assert await (await charge.submit()).result(timeout=5) == "real"


async def test_a_plain_task_that_returns_a_coroutine_from_a_closed_dependency_fails(local_app: Runner) -> None:
    async def later() -> None:
        raise AssertionError("its dependency is closed")

    @local_app.task(retries=0)
    def charge(*, name: Annotated[str, Depends(thread_name)] = injected) -> object:
        return later()

    with pytest.raises(JobFailed, match="is plain and returns something to await, after its dependencies would be closed"):
        _ = (await run(charge)).result


async def test_a_cancelled_job_unwinds(app: Runner, crew: Crew) -> None:
    @app.task
    async def slow(*, session: Session = injected) -> None:
        await asyncio.sleep(60)

    await crew.start(app)
    job = await slow.submit()
    await eventually(lambda: events == ["begin"])
    await job.cancel()
    await state_of(app, job.id, "cancelled")
    assert events == ["begin", "roll back, CancelledError"]
