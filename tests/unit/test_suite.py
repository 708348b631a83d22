"""The suite's own guards: each must be able to fail."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.children import start_child
from tests.eventually import eventually
from tests.leftovers import stray_tasks
from tests.pace import TICK_S, Pace
from tests.starvation import Starvation

ROOT = Path(__file__).parents[2]


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


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not count how long a process waits for a CPU")
async def test_a_process_that_shares_its_cpu_waits_for_it() -> None:
    cpu = min(os.sched_getaffinity(0))
    spinning = [await start_child(sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{cpu}])\nwhile True: pass") for _ in range(2)]
    try:
        starvation = Starvation()
        await eventually(lambda: starvation.seconds > 0.05)
    finally:
        for process in spinning:
            process.kill()
            await process.wait()


async def test_a_child_heeds_sigint_though_the_suite_ignores_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = await start_child(sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)", stdout=PIPE, stderr=DEVNULL)
        assert child.stdout is not None
        await child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert await child.wait() != 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_child_that_is_sent_sigint_is_started_to_heed_it() -> None:
    texts = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    senders = {name: text for name, text in texts.items() if "signal.SIGINT" in text and ("send_signal(" in text or "os.kill(" in text)}

    assert len(senders) > 1
    assert [name for name, text in senders.items() if "start_child" not in text] == []


async def test_a_loop_that_gets_no_turn_has_no_time_pass(pace: Pace) -> None:
    await asyncio.sleep(0.1)
    before_s = pace.now_s
    time.sleep(0.1)  # noqa: ASYNC251 - as if other processes had the CPU
    await asyncio.sleep(0)

    assert 0 < before_s <= 0.1
    assert pace.now_s - before_s <= 2 * TICK_S
