"""What the type checkers of users see of lifespan, state and middleware: never run, read by mypy and pyright in strict mode."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_type

from runner import JobContext, Next, Runner, Worker


@dataclass
class State:
    model: str


@asynccontextmanager
async def lifespan(app: Runner[State]) -> AsyncGenerator[State]:
    yield State(app.queue)


@asynccontextmanager
async def of_any(_: object) -> AsyncGenerator[dict[str, int]]:
    yield {}


jobs = Runner("typing-lifespan", lifespan=lifespan)
others = Runner("typing-lifespan-2", lifespan=of_any)
without = Runner("typing-lifespan-3")


@jobs.middleware
async def timing(job: JobContext, call_next: Next) -> Any:
    assert_type(job.task, str)
    return await call_next()


@jobs.task(middleware=[timing])
async def work(app: Runner[State]) -> str:
    return app.state.model


async def stated() -> None:
    assert_type(jobs, Runner[State])
    assert_type(jobs.state, State)
    assert_type(others.state, dict[str, int])
    assert_type(without.state, None)
    assert_type(await work(jobs), str)
    Worker(jobs)
    async with jobs.running(worker=True) as app:
        assert_type(app.state, State)
    jobs.state.missing  # type: ignore[attr-defined] # noqa: B018
