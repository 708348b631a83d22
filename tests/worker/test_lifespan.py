"""The lifespan of an app: entered before the first job, left after the last, in the worker's own asyncio task."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest

from runner import ConfigurationError, Depends, JobContext, Next, Runner, Worker, injected
from runner.connection.embedded import FOLDER, EmbeddedServer
from runner.errors import StartFailed
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

events: list[str] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    events.clear()


def with_lifespan(app: Runner, lifespan: Any) -> Runner[Any]:
    app._lifespan = lifespan
    return app


@asynccontextmanager
async def of_model(app: Runner[Any]) -> AsyncIterator[str]:
    task = asyncio.current_task()
    events.append("open")
    async with asyncio.timeout(None):  # a scope that only this task may leave
        yield f"model of {app.queue}"
    assert asyncio.current_task() is task
    events.append(f"close, {len(await app.client.workers())} workers")


async def test_its_value_is_the_state_of_tasks_threads_dependencies_and_middleware(app: Runner, crew: Crew) -> None:
    with_lifespan(app, of_model)

    def of_worker() -> object:
        return app.state

    def of_job(job: JobContext = injected) -> object:
        return job.state

    seen: list[object] = []

    @app.middleware
    async def looks(job: JobContext, call_next: Next) -> Any:
        seen.append(job.state)
        return await call_next()

    @app.task
    async def work(
        *, a: Annotated[object, Depends(of_worker, per="worker")] = injected, b: Annotated[object, Depends(of_job)] = injected
    ) -> bool:
        return a is b is app.state

    @app.task
    def plain() -> tuple[str, str]:
        return app.state, threading.current_thread().name[:11]  # type: ignore[return-value]

    worker = await crew.start(app)
    assert await (await work.submit()).result(timeout=5) is True
    assert await (await plain.submit()).result(timeout=5) == (f"model of {app.queue}", "runner-task")
    assert seen[0] == f"model of {app.queue}"
    assert events == ["open"]
    with pytest.raises(ConfigurationError, match="there is no state here"):
        _ = app.state
    await crew.stop(worker)
    assert events == ["open", "close, 0 workers"]


async def test_two_workers_of_one_process_have_their_own(make_app: MakeApp) -> None:
    apps = [with_lifespan(make_app(), of_model), make_app()]

    @apps[0].task
    async def looks() -> str:
        with pytest.raises(ConfigurationError):
            _ = apps[1].state
        return str(apps[0].state)

    async with apps[0].running(worker=True) as app:
        assert await (await looks.submit()).result(timeout=10) == f"model of {app.queue}"


async def test_without_a_url_it_starts_the_server_of_the_folder_and_stops_it_at_the_end(tmp_path: Path) -> None:
    jobs = Runner("shop", redis_url=f"embedded://{tmp_path}")

    @jobs.task
    async def double(n: int) -> int:
        return 2 * n

    with pytest.raises(ConfigurationError, match="start the embedded server"):
        await double.submit(1)
    for _ in range(2):  # the second finds the data of the first
        async with jobs.running(worker=True):
            job = await double.with_options(id="one").submit(21)
            assert await job.result(timeout=10) == 42
        assert not EmbeddedServer(tmp_path / FOLDER).was_started
    assert job.first_state == "existing"


async def test_a_start_that_fails_never_was_a_worker(app: Runner) -> None:
    @asynccontextmanager
    async def broken(_: Runner[Any]) -> AsyncIterator[None]:
        raise ValueError("no model")
        yield

    with pytest.raises(StartFailed, match=r"lifespan test_a_start.*broken failed: ValueError: no model \(test_lifespan.py:\d+\)") as failed:
        await Worker(with_lifespan(app, broken)).run()
    assert isinstance(failed.value.__cause__, ValueError)
    assert await app.client.workers() == []


async def test_a_start_that_takes_too_long_fails(make_app: MakeApp) -> None:
    @asynccontextmanager
    async def slow(_: Runner[Any]) -> AsyncIterator[None]:
        await asyncio.sleep(60)
        yield

    app = with_lifespan(make_app(start_timeout_s=0.05), slow)
    with pytest.raises(StartFailed, match=r"took longer than start_timeout_s \(0.05 s\)"):
        await Worker(app).run()


async def test_a_worker_that_is_to_stop_does_not_wait_for_its_start(app: Runner) -> None:
    @asynccontextmanager
    async def slow(_: Runner[Any]) -> AsyncIterator[None]:
        events.append("loading")
        try:
            await asyncio.sleep(60)
        finally:
            events.append("given up")
        yield

    worker = Worker(with_lifespan(app, slow))
    running = asyncio.create_task(worker.run())
    await eventually(lambda: events == ["loading"])
    worker.stop()
    await running
    assert events == ["loading", "given up"]


async def test_a_cancelled_worker_signs_off_and_leaves_it(app: Runner) -> None:
    worker = Worker(with_lifespan(app, of_model))
    running = asyncio.create_task(worker.run())
    await worker.wait_until_working()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert events == ["open", "close, 0 workers"]


async def test_an_error_of_its_end_is_raised_after_all_is_signed_off(app: Runner) -> None:
    @asynccontextmanager
    async def lifespan(_: Runner[Any]) -> AsyncIterator[None]:
        yield
        raise ValueError("cannot close")

    worker = Worker(with_lifespan(app, lifespan))
    running = asyncio.create_task(worker.run())
    await worker.wait_until_working()
    worker.stop()
    with pytest.raises(ValueError, match="cannot close"):
        await running
    assert not worker.state.is_enlisted
    assert await app.client.workers() == []


async def test_a_block_beside_a_dead_worker_gets_its_error(app: Runner) -> None:
    @asynccontextmanager
    async def broken(_: Runner[Any]) -> AsyncIterator[None]:
        raise ValueError("no model")
        yield

    with pytest.raises(StartFailed):
        async with with_lifespan(app, broken).running(worker=True):
            await asyncio.sleep(60)
    assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]
    with pytest.raises(KeyError):
        async with app.running():
            raise KeyError


def test_an_async_generator_is_no_lifespan() -> None:
    async def lifespan(_: Runner[None]) -> AsyncIterator[None]:
        yield

    with pytest.raises(ConfigurationError, match="an async generator with contextlib's @asynccontextmanager"):
        Runner("x", lifespan=lifespan)  # type: ignore[arg-type]
