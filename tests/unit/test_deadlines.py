"""Deadlines: what asyncio.timeout promises, of many waits with one timer."""

import asyncio
import socket
import time

import pytest

from runner.deadlines import Deadlines

SHORT_S = 0.02
LONG_S = 30.0


async def test_a_wait_that_is_too_long_ends_in_a_time_out() -> None:
    deadlines = Deadlines()

    with pytest.raises(TimeoutError), deadlines.within(SHORT_S) as deadline:
        await asyncio.Event().wait()

    assert deadline.expired
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_a_wait_that_is_short_enough_passes_its_value_and_its_errors() -> None:
    deadlines = Deadlines()

    with deadlines.within(LONG_S) as deadline:
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="mine"), deadlines.within(LONG_S):
        raise ValueError("mine")

    assert not deadline.expired


async def test_what_came_while_the_loop_stood_still_is_not_given_up() -> None:
    deadlines, (here, there) = Deadlines(), socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    with there:
        there.sendall(b"in time")
        with deadlines.within(SHORT_S):
            reading = asyncio.create_task(reader.readexactly(7))
            time.sleep(10 * SHORT_S)  # noqa: ASYNC251 - the fault under test
            assert await reading == b"in time"
    writer.close()


async def test_a_loop_that_stands_still_again_and_again_keeps_its_deadlines() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()

    def block() -> None:
        time.sleep(4 * SHORT_S)
        blocking[0] = loop.call_soon(block)

    blocking = [loop.call_soon(block)]
    with pytest.raises(TimeoutError), deadlines.within(SHORT_S):
        await asyncio.Event().wait()
    blocking[0].cancel()


async def test_a_later_and_shorter_deadline_comes_first() -> None:
    deadlines = Deadlines()
    ended: list[float] = []

    async def wait(seconds: float) -> None:
        with pytest.raises(TimeoutError), deadlines.within(seconds):
            await asyncio.Event().wait()
        ended.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (5 * SHORT_S, SHORT_S, 3 * SHORT_S):
            group.create_task(wait(seconds))

    assert ended == [SHORT_S, 3 * SHORT_S, 5 * SHORT_S]


async def test_one_expires_while_others_have_time() -> None:
    deadlines = Deadlines()
    go = asyncio.Event()

    async def wait_long() -> str:
        with deadlines.within(LONG_S):
            await go.wait()
        return "done"

    long = asyncio.create_task(wait_long())
    with pytest.raises(TimeoutError), deadlines.within(SHORT_S):
        await asyncio.Event().wait()
    go.set()

    assert await long == "done"


async def test_the_inner_of_two_deadlines_is_told_from_the_outer() -> None:
    deadlines = Deadlines()

    with deadlines.within(LONG_S), pytest.raises(TimeoutError), deadlines.within(SHORT_S):
        await asyncio.Event().wait()
    with pytest.raises(TimeoutError), deadlines.within(SHORT_S), deadlines.within(LONG_S) as inner:
        await asyncio.Event().wait()

    assert not inner.expired


async def test_a_cancellation_is_never_taken_for_a_time_out() -> None:
    deadlines = Deadlines()
    begun = asyncio.Event()

    async def wait() -> None:
        with deadlines.within(LONG_S):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_together_with_a_time_out_stays_a_cancellation() -> None:
    deadlines = Deadlines()
    begun = asyncio.Event()

    async def wait() -> None:
        with deadlines.within(LONG_S) as deadline:
            begin.append(deadline)
            begun.set()
            await asyncio.Event().wait()

    begin: list[object] = []
    task = asyncio.create_task(wait())
    await begun.wait()
    begin[0].expire()  # type: ignore[attr-defined]
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_second_event_loop_gets_a_timer_of_its_own() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        with pytest.raises(TimeoutError), deadlines.within(SHORT_S):
            await asyncio.Event().wait()

    async def leave_the_timer_armed() -> None:
        with deadlines.within(SHORT_S):
            await asyncio.sleep(0)

    asyncio.run(leave_the_timer_armed())
    asyncio.run(wait())
