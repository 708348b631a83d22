"""One call for all callers: they share how it ends, in one event loop or in several, and the cancellation of one does not end it for the others."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from runner.client.shared_call import SharedCall
from runner.errors import ClientClosed
from tests.eventually import eventually
from tests.forking import in_child


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
    tasks = [asyncio.create_task(shared(called)) for _ in range(count)]
    await eventually(lambda: called.calls == 1)
    return tasks


async def test_all_share_one_call_and_the_next_makes_another(called: Called) -> None:
    shared = SharedCall(name="test")
    tasks = await waiting(shared, called, 3)
    called.ends.put_nowait(None)
    await asyncio.gather(*tasks)

    called.ends.put_nowait(None)
    await shared(called)

    assert called.calls == 2


async def test_all_share_its_failure_and_the_next_tries_again(called: Called) -> None:
    shared = SharedCall(name="test")
    tasks = await waiting(shared, called, 3)
    called.ends.put_nowait(LookupError("lost"))

    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [LookupError] * 3

    called.ends.put_nowait(None)
    await shared(called)


async def test_one_that_is_cancelled_leaves_the_call_to_the_others(called: Called) -> None:
    shared = SharedCall(name="test")
    impatient, patient = await waiting(shared, called, 2)

    impatient.cancel()
    called.ends.put_nowait(None)
    await patient

    assert impatient.cancelled()
    assert called.calls == 1


async def test_closing_cancels_a_call_that_no_caller_waits_for(called: Called) -> None:
    shared = SharedCall(name="test")
    (task,) = await waiting(shared, called, 1)
    task.cancel()

    await shared.close()

    assert not [task for task in asyncio.all_tasks() if task.get_name() == "test"]


async def test_who_waits_when_it_is_closed_learns_that_and_is_not_taken_for_cancelled(called: Called) -> None:
    shared = SharedCall(name="test")
    (task,) = await waiting(shared, called, 1)

    await shared.close()

    with pytest.raises(ClientClosed):
        await task


def elsewhere(threads: ThreadPoolExecutor, shared: SharedCall, call: Callable[[], Coroutine[Any, Any, None]]) -> Future[None]:
    """A caller in a thread with an event loop of its own."""

    async def caller() -> None:
        await shared(call)

    return threads.submit(asyncio.run, caller())


def joined(shared: SharedCall, count: int) -> bool:
    """Whether so many callers in other loops wait for the call."""
    running = shared._running
    return running is not None and len(running.end._done_callbacks) == count  # type: ignore[attr-defined] # nothing public tells


async def test_callers_in_other_event_loops_share_the_call_and_its_failure(called: Called) -> None:
    shared = SharedCall(name="test")
    with ThreadPoolExecutor(3) as threads:
        (task,) = await waiting(shared, called, 1)
        others = [elsewhere(threads, shared, called) for _ in range(3)]
        await eventually(lambda: joined(shared, 3))
        called.ends.put_nowait(LookupError("lost"))

        ends = await asyncio.gather(task, *map(asyncio.wrap_future, others), return_exceptions=True)

    assert [type(end) for end in ends] == [LookupError] * 4
    assert called.calls == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ClientClosed()], ids=["loop", "client"])
async def test_callers_in_other_event_loops_make_their_own_call_when_the_one_that_made_it_ends(error: BaseException) -> None:
    shared, ends, calls = SharedCall(name="test"), asyncio.Event(), list[int]()

    async def ending() -> None:
        await ends.wait()
        raise error

    async def at_once() -> None:
        calls.append(1)

    first = asyncio.create_task(shared(ending))
    await eventually(lambda: shared._running is not None)
    with ThreadPoolExecutor(2) as threads:
        others = [elsewhere(threads, shared, at_once) for _ in range(2)]
        await eventually(lambda: joined(shared, 2))
        ends.set()
        await asyncio.gather(*map(asyncio.wrap_future, others))

    with pytest.raises(ClientClosed):
        await first
    assert len(calls) in (1, 2)


async def test_callers_in_other_event_loops_take_over_a_call_whose_loop_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.client.shared_call._PATIENCE_S", 0.1)
    shared, calls = SharedCall(name="test"), list[int]()

    async def endless() -> None:
        await asyncio.Event().wait()

    async def at_once() -> None:
        calls.append(1)

    def stop_in_the_middle() -> set[asyncio.Task[Any]]:
        first = stopped.create_task(shared(endless))
        stopped.run_until_complete(eventually(lambda: shared._running is not None))
        assert not first.done()
        return asyncio.all_tasks(stopped)

    stopped = asyncio.new_event_loop()
    held = await asyncio.to_thread(stop_in_the_middle)  # nothing else does, once its loop stands still
    await shared(at_once)

    assert (calls, len(held)) == ([1], 2)
    await asyncio.to_thread(ended, stopped)


def ended(loop: asyncio.AbstractEventLoop) -> None:
    """End its tasks and close it, as `asyncio.run` does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


async def test_a_forked_child_does_not_wait_for_a_call_of_its_parent(called: Called) -> None:
    shared = SharedCall(name="test")
    (task,) = await waiting(shared, called, 1)

    async def at_once() -> None: ...

    def fork_while_a_thread_holds_the_lock() -> None:
        with shared._lock:
            in_child(lambda: asyncio.run(asyncio.wait_for(shared(at_once), 5)))

    await asyncio.to_thread(fork_while_a_thread_holds_the_lock)
    called.ends.put_nowait(None)
    await task
