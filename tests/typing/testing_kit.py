"""What the type checkers of users see of the testing kit and of handles in FastAPI: never run. An ignore is an error they must find."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, assert_type

from fastapi import FastAPI

from runner import JobHandle, JobStatus, Runner
from runner.http import lifespan, problems
from runner.testing import BlockingTestQueue, Ran, Start, TestQueue, blocking, run

jobs = Runner("typing")
app = FastAPI(lifespan=lifespan(jobs, worker=True))
problems(app)


@jobs.task
async def charge(order: str, *, tenant_id: str) -> int:
    return len(order + tenant_id)


@jobs.task
def plain(order: str) -> str:
    return order


@app.post("/payments")
async def pay() -> JobHandle[int]:
    return await charge.submit("o-17", tenant_id="t7")


async def one_call() -> None:
    ran = await run(charge, "o-17", tenant_id="t7")
    assert_type(ran, Ran[int])
    assert_type(ran.result, int)
    assert_type(ran.delays, list[float])
    assert_type(ran.settled, dict[str, int])
    assert_type(blocking.run(plain, "o-17").result, str)
    await run(charge, 17, tenant_id="t7")  # type: ignore[arg-type]
    await run(charge, "o-17")  # type: ignore[call-arg]


async def a_queue() -> None:
    async with TestQueue(jobs, workers=2, virtual_sleep=True) as queue:
        assert_type(queue, TestQueue)
        await queue.run_until_idle(queue.now, most=10)
        await queue.advance(60)
        assert_type(queue.now, datetime)
        assert_type(queue.seconds, float)
        assert_type(queue.starts, list[Start])
        assert_type(queue.starts[0].arguments, dict[str, Any])
        assert_type(queue.jobs("failed"), list[JobStatus])
        queue.lose(await charge.submit("o-17", tenant_id="t7"))
        queue.assert_submitted(charge, "o-17", tenant_id="t7")
        queue.assert_submitted(charge, 17, tenant_id="t7")  # type: ignore[arg-type]
        with queue.redis_down():
            await charge.submit("o-18", tenant_id="t7")


def a_plain_queue() -> None:
    with TestQueue(jobs) as queue:
        assert_type(queue.blocking, BlockingTestQueue)
        queue.blocking.run_until_idle()
        queue.blocking.advance(60)


def of_an_app() -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    return lifespan(jobs)
