"""The suite's own guards: each must be able to fail."""

import asyncio

import pytest

from tests.eventually import eventually
from tests.leftovers import stray_tasks


async def test_eventually_returns_the_first_true_value() -> None:
    values = iter([0, None, "", "there"])

    assert await eventually(lambda: next(values)) == "there"


async def test_eventually_awaits_async_conditions() -> None:
    values = iter([0, 7])

    async def condition() -> int:
        return next(values)

    assert await eventually(condition) == 7


async def test_eventually_says_what_it_waited_for_and_what_it_saw() -> None:
    with pytest.raises(AssertionError, match=r"not within 0.01 s: .*list.*last value \[\]"):
        await eventually(list, within_s=0.01)


async def test_a_task_that_does_not_end_is_stray() -> None:
    forever = asyncio.create_task(asyncio.Event().wait(), name="forever")

    assert "forever" in (await stray_tasks())[0]

    forever.cancel()
    assert await stray_tasks() == []
