"""The types of a task's function reach its callers: read by the type checker, which fails if one of them is another."""

from typing import assert_type

import pytest

from runner import JobHandle, Runner, Submission, Task
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


def test_a_task_has_the_types_of_its_function() -> None:
    assert_type(greet.prepare("a"), Submission)

    assert isinstance(greet, Task)
    assert isinstance(count, Task)
    with pytest.raises(InvalidArguments):
        count.prepare()  # type: ignore[call-arg]
