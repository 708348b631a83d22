"""Children that are replaced, killed and cancelled again and again: the worker has all of them afterwards, and nothing is left of those that are gone."""

import os
import signal
from pathlib import Path

import pytest

from tests.eventually import PATIENCE_S, eventually
from tests.worker.heavy import Heavy, Serve, is_gone


async def run_at_once(app: Heavy, count: int) -> list[int]:
    """The processes of so many jobs that run at one time."""
    app.file.with_suffix(".open").unlink(missing_ok=True)
    before = len(app.pids)
    jobs = [await app.runner.tasks["work"].submit(how="gate") for _ in range(count)]
    await eventually(lambda: len(app.pids) == before + count)
    app.open_gate()
    for job in jobs:
        assert (await job.wait(PATIENCE_S)).state == "succeeded"
    return app.pids[before:]


async def test_large_jobs_follow_each_other_though_each_is_the_last_of_its_child(heavy: Serve) -> None:
    async with heavy("size=1, max_jobs=1") as app:
        jobs = [await app.runner.tasks["work"].submit(how="x" * 900_000) for _ in range(3)]

        assert [(await job.wait(PATIENCE_S)).state for job in jobs] == ["succeeded"] * 3
        assert len(set(app.pids)) == 3


async def test_children_that_the_system_kills_are_replaced_idle_or_at_work(heavy: Serve) -> None:
    async with heavy("size=2") as app:
        idle, at_work = await run_at_once(app, 2)
        app.file.with_suffix(".open").unlink()
        os.kill(idle, signal.SIGKILL)
        await eventually(lambda: is_gone(idle))
        job = await app.runner.tasks["work"].submit(how="kill")

        status = await job.wait(PATIENCE_S)

        assert status.error is not None
        assert status.error.message == "signal 9 (SIGKILL, out of memory?)"
        assert (await app.ended("quick")).state == "succeeded"
        assert len(set(await run_at_once(app, 2)) - {idle, at_work}) >= 1


async def test_all_children_are_back_after_a_cancel_of_all_that_they_run(heavy: Serve) -> None:
    async with heavy("size=2, max_jobs=3") as app:
        jobs = [await app.runner.tasks["work"].submit(how="gate") for _ in range(6)]
        await eventually(lambda: len(app.pids) == 2)
        for job in jobs:
            await job.cancel()

        assert {(await job.wait(PATIENCE_S)).state for job in jobs} == {"cancelled"}
        gone = set(app.pids)
        assert all(map(is_gone, gone))
        assert not gone & set(await run_at_once(app, 2))


async def test_a_child_that_holds_too_much_is_replaced_and_the_next_begins(heavy: Serve) -> None:
    async with heavy("size=1, max_memory=1") as app:
        pids = [(await app.ended("work")).result["pid"] for _ in range(3)]

        assert len(set(pids)) == 3


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not list descriptors")
async def test_nothing_is_left_of_children_that_are_gone(heavy: Serve) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no paths are wanted

    async with heavy("size=1, max_jobs=1") as app:
        await app.ended("work")
        before = descriptors()
        for how in ("pid", "die", "pid", "kill", "pid"):
            await app.ended("work", how=how)

        await eventually(lambda: all(not Path(f"/proc/{pid}").exists() for pid in app.pids))
        await eventually(lambda: descriptors() <= before + 2)
