"""The types of a task's function reach its callers: read by the type checker, which fails if one of them is another."""

from typing import assert_type

import pytest

from runner import BlockingHandle, Client, JobHandle, JobStatus, LimitStatus, Runner, Submission, Taken, Task
from runner.errors import InvalidArguments

jobs = Runner("types")


@jobs.task
async def greet(name: str, times: int = 1) -> str:
    return f"hello {name} " * times


@jobs.task(retries=1)
def count(text: str) -> int:
    return len(text)


async def handles() -> None:
    """Never run."""
    assert_type(await greet.submit("a", times=2), JobHandle[str])
    assert_type(await (await greet.submit("a")).result(timeout=1), str)
    assert_type(await (await count.with_options(delay=1).submit("a")).result(), int)
    await greet.submit(1)  # type: ignore[arg-type]
    await count.submit()  # type: ignore[call-arg]


def blocking_handles(client: Client) -> None:
    """Never run."""
    assert_type(greet.blocking.submit("a", times=2), BlockingHandle[str])
    assert_type(greet.blocking.submit("a").result(timeout=1), str)
    assert_type(count.with_options(delay=1).blocking.submit("a").result(), int)
    assert_type(greet.blocking.submit("a").wait(timeout=1), JobStatus)
    assert_type(client.blocking.limits(), list[LimitStatus])
    assert_type(client.blocking.wait("id", timeout=1), JobStatus)
    assert_type(client.blocking.control.pause("stripe", reason="x"), LimitStatus)
    assert_type(jobs.blocking.submit_many([greet.prepare("a")]), list[BlockingHandle[str]])
    assert_type(jobs.blocking.take("stripe", cost=2, wait=None), Taken)
    with jobs.blocking.slot("gpu", wait=1):
        pass
    greet.blocking.submit(1)  # type: ignore[arg-type]
    count.blocking.submit()  # type: ignore[call-arg]
    client.blocking.wait(1)  # type: ignore[arg-type]
    client.blocking.status()  # type: ignore[call-arg]
    jobs.blocking.take("stripe", cots=2)  # type: ignore[call-arg]


def test_a_task_has_the_types_of_its_function() -> None:
    assert_type(greet.prepare("a"), Submission[str])

    assert isinstance(greet, Task)
    assert isinstance(count, Task)
    with pytest.raises(InvalidArguments):
        count.prepare()  # type: ignore[call-arg]
