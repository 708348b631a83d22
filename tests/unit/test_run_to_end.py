"""The loop of a worker's process goes on when a task that nobody awaits, or a callback, wants the process to end."""

import asyncio
import signal
import sys
from collections.abc import Callable

import pytest
import uvloop

from runner.worker import run_to_end

Leave = Callable[[], object]

LOOPS = pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def handled_signal() -> object:
    """As the commands do, SIGINT has a handler of its own."""
    former = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, former)


@LOOPS
@pytest.mark.parametrize("leave", [lambda: sys.exit(3), interrupt], ids=["exit", "interrupt"])
@pytest.mark.parametrize("by", ["task", "callback", "timer"])
@pytest.mark.usefixtures("handled_signal")
def test_what_leaves_a_task_or_a_callback_ends_neither_the_loop_nor_another_task(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None, leave: Leave, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[asyncio.Task[None]] = []

    async def leaver() -> None:
        leave()

    async def main() -> int:
        loop, done = asyncio.get_running_loop(), list[int]()
        for number in range(3):
            if by == "task":
                left.append(asyncio.create_task(leaver()))
            elif by == "callback":
                loop.call_soon(leave)
            else:
                loop.call_later(0.001, leave)
            loop.call_soon(done.append, number)
        await asyncio.sleep(0.05)
        return len(done)

    assert run_to_end(main(), loop_factory) == 3
    # uvloop lets several of one turn out as one
    assert 1 <= caplog.text.count("came out of a task or a callback that a handler had started") <= 3
    for task in left:
        assert task.done()
        task.exception()


@LOOPS
def test_what_main_itself_raises_ends_it(loop_factory: Callable[[], asyncio.AbstractEventLoop] | None) -> None:
    async def main(error: BaseException) -> None:
        await asyncio.sleep(0)
        raise error

    for error in (SystemExit(3), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run_to_end(main(error), loop_factory)


def test_ctrl_c_ends_a_program_that_does_not_handle_it() -> None:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background of a shell has none

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(10)

    try:
        with pytest.raises(KeyboardInterrupt):
            run_to_end(main())
    finally:
        signal.signal(signal.SIGINT, former)
