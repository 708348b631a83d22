"""What is around a handler costs an attempt, in this process and without Redis: `python -m bench.handler_cost`."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import thread_time_ns
from typing import Annotated, Any

from runner import Depends, JobContext, Next, Runner, injected
from runner.jobs import Outcome, StartedJob, enter_state
from runner.worker.executor import Executor

JOBS = 1_000
RUNS = 50


async def get_session() -> AsyncGenerator[int]:
    yield 1


def get_number() -> int:
    return 1


async def passes(_: JobContext, call_next: Next) -> Any:
    return await call_next()


@asynccontextmanager
async def lifespan(_: Runner[dict[str, int]]) -> AsyncGenerator[dict[str, int]]:
    yield {}


def apps() -> dict[str, tuple[Runner[Any], str]]:
    """An app and the name of its task for each row."""
    bare = Runner("cost")

    @bare.task
    async def nothing() -> None: ...

    @bare.task
    async def plain_dependency(*, number: Annotated[int, Depends(get_number)] = injected) -> None: ...

    @bare.task
    async def per_worker(*, number: Annotated[int, Depends(get_number, per="worker")] = injected) -> None: ...

    @bare.task
    async def generator(*, session: Annotated[int, Depends(get_session)] = injected) -> None: ...

    @bare.task(middleware=[passes])
    async def middleware() -> None: ...

    full = Runner("cost", lifespan=lifespan)
    full.middleware(passes)

    @full.task
    async def plain_and_middleware(*, number: Annotated[int, Depends(get_number)] = injected) -> None:
        assert full.state == {}
        assert number == 1

    @full.task
    async def all_three(*, session: Annotated[int, Depends(get_session)] = injected) -> None:
        assert full.state == {}
        assert session == 1

    rows: dict[str, tuple[Runner[Any], str]] = {name: (bare, name) for name in bare.tasks}
    rows["lifespan, plain dependency and middleware"] = (full, "plain_and_middleware")
    return rows | {"lifespan, async generator and middleware": (full, "all_three")}


async def once(app: Runner[Any], name: str) -> float:
    """µs of one attempt by the executor."""
    executor, job = Executor(app.tasks, app.settings), StartedJob(1, b"1-1", "j", name, b"{}", 1, 0)
    record: Callable[[Outcome], None] = lambda _: None  # noqa: E731
    enter_state(app, {})
    await executor.execute(job, record)
    gc.collect()
    began = thread_time_ns()
    for _ in range(JOBS):
        await executor.execute(job, record)
    us = (thread_time_ns() - began) / 1000 / JOBS
    await executor.values.close()
    executor.close()
    return us


async def main() -> None:
    rows = apps()
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(RUNS):
        for row, (app, name) in rows.items():
            best[row] = min(best[row], await once(app, name))
    for row, us in best.items():
        print(f"{row:45} {us:6.2f} µs an attempt, {us - best['nothing']:+.2f}")


if __name__ == "__main__":
    asyncio.run(main())
