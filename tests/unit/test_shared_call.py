"""One call for all callers: they share how it ends, and the cancellation of one does not end it for the others."""

import asyncio

import pytest

from runner.client.shared_call import SharedCall
from tests.eventually import eventually


class Called:
    """Counts its calls; the test ends each of them."""

    def __init__(self) -> None:
        self.calls = 0
        self.ends: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def __call__(self) -> None:
        self.calls += 1
        if error := await self.ends.get():
            raise error


@pytest.fixture
def called() -> Called:
    return Called()


async def waiting(shared: SharedCall, called: Called, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(shared()) for _ in range(count)]
    await eventually(lambda: called.calls == 1)
    return tasks


async def test_all_share_one_call_and_the_next_makes_another(called: Called) -> None:
    shared = SharedCall(called, name="test")
    tasks = await waiting(shared, called, 3)
    called.ends.put_nowait(None)
    await asyncio.gather(*tasks)

    called.ends.put_nowait(None)
    await shared()

    assert called.calls == 2


async def test_all_share_its_failure_and_the_next_tries_again(called: Called) -> None:
    shared = SharedCall(called, name="test")
    tasks = await waiting(shared, called, 3)
    called.ends.put_nowait(LookupError("lost"))

    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [LookupError] * 3

    called.ends.put_nowait(None)
    await shared()


async def test_one_that_is_cancelled_leaves_the_call_to_the_others(called: Called) -> None:
    shared = SharedCall(called, name="test")
    impatient, patient = await waiting(shared, called, 2)

    impatient.cancel()
    called.ends.put_nowait(None)
    await patient

    assert impatient.cancelled()
    assert called.calls == 1


async def test_closing_cancels_a_call_that_no_caller_waits_for(called: Called) -> None:
    shared = SharedCall(called, name="test")
    (task,) = await waiting(shared, called, 1)
    task.cancel()

    await shared.close()

    assert not [task for task in asyncio.all_tasks() if task.get_name() == "test"]
