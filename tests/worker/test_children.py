"""Tasks in child processes: what comes back from them, and that nothing of an attempt goes on that is over."""

import asyncio
import io
import json
import logging
import os
from functools import partial
from typing import Any

import pytest

from runner import Children, ConfigurationError, Depends, Runner, Worker
from runner.errors import StartFailed
from runner.jobs import JsonFormatter, PlainFormatter
from tests.eventually import PATIENCE_S, eventually
from tests.worker.heavy import APP, Heavy, Serve, is_gone


async def test_a_function_runs_in_a_process_and_its_result_and_errors_come_back(heavy: Serve) -> None:
    async with heavy() as app:
        done = await app.ended("work")
        settled = await app.ended("work", how="settle")
        odd = await app.ended("work", how="odd")
        gave_up = await app.ended("work", how="give up")
        left = await app.ended("work", how="exit")
        wrong = await app.ended("work", how="wrong")

        assert done.result == {"pid": app.pids[0], "id": done.id, "attempt": 1, "session": app.pids[0]}
        assert app.pids[0] != os.getpid()
        assert settled.state == "succeeded"
        assert odd.error is not None
        assert (odd.state, odd.failures, odd.error.type, odd.error.message) == ("failed", 1, "Odd", "odd")
        assert "raise Odd(1, 2)" in odd.error.traceback
        assert gave_up.error is not None
        assert (gave_up.failures, gave_up.error.type, gave_up.error.message) == (0, "GiveUp", "no use")
        assert left.error is not None
        assert (left.error.type, left.error.message) == ("SystemExit", "4")
        assert wrong.error is not None
        assert (wrong.failures, wrong.error.type) == (0, "InvalidResult")
        assert set(app.pids) == {app.pids[0]}, "another child took over"


async def test_dependencies_are_made_in_the_child_and_middleware_is_around_it_in_the_worker(heavy: Serve) -> None:
    async with heavy() as app:
        status = await app.ended("surrounded")

        assert status.result == {"made": app.pids[0], "ran": app.pids[0], "marked": status.id}
        assert status.progress is not None
        assert (status.progress.done, status.progress.total, status.progress.note) == (3, 4, "nearly")


async def test_a_provider_that_says_wait_in_a_child_freezes_its_limit(heavy: Serve) -> None:
    async with heavy() as app:
        job = await app.runner.tasks["work"].submit(how="wait")

        async def is_throttled() -> bool:
            return bool((await job.status()).throttled == 1)

        await eventually(is_throttled)
        status = await job.status()
        assert (status.state, status.reason, status.failures) == ("waiting", "frozen", 0)
        await job.cancel()


async def test_what_a_provider_says_in_a_child_lowers_our_bucket(heavy: Serve) -> None:
    async with heavy() as app:

        async def tokens(left: int) -> int:
            (limit,) = [limit for limit in await app.runner.client.limits() if limit.name == "calls"]
            told = limit.buckets[0].provider
            return limit.buckets[0].tokens if told is not None and told.left == left else -1

        async def is_heard(left: int) -> bool:
            return await tokens(left) >= 0

        assert (await app.ended("tell", left="70")).result == 70
        await eventually(partial(is_heard, 70))  # the first word sees to it that later ones count
        assert (await app.ended("tell", left="30")).result == 30
        await eventually(partial(is_heard, 30))

        assert await tokens(30) == 20  # and a tenth is for others


LIFESPAN = """
import asyncio, json, logging, os
from contextlib import asynccontextmanager
from pathlib import Path
from runner import Children, Runner
NOTES = Path(__file__).with_suffix(".notes")

def note(text: str) -> None:
    with NOTES.open("a") as notes:
        notes.write(text + "\\n")

async def tick(state: dict[str, int]) -> None:
    while True:
        await asyncio.sleep(0.01)
        state["ticks"] += 1

@asynccontextmanager
async def lifespan(jobs):
    {fails}
    state = {{"pid": os.getpid(), "ticks": 0}}
    ticking = asyncio.create_task(tick(state))
    note(f"in {{os.getpid()}}")
    yield state
    ticking.cancel()
    note(f"out {{os.getpid()}}")

jobs = Runner({queue!r}, lifespan=lifespan, children=Children(size=1, lifespan={enters}))

@jobs.task(executor="process")
def work() -> dict[str, int]:
    logging.getLogger("shop").warning("at work")
    return {{"ran": os.getpid(), **jobs.state}}
"""


def noted(app: Heavy) -> list[str]:
    return app.file.with_suffix(".notes").read_text().splitlines()


async def test_a_child_enters_the_lifespan_once_and_its_loop_runs_between_two_jobs(heavy: Serve) -> None:
    async with heavy(source=LIFESPAN, fails="pass", enters=True) as app:
        first, pid = (await app.ended("work")).result, os.getpid()
        await asyncio.sleep(0.1)
        second = (await app.ended("work")).result

        assert first["pid"] == first["ran"] == second["pid"] != pid
        assert second["ticks"] > first["ticks"]
        assert sorted(noted(app)) == sorted([f"in {pid}", f"in {first['pid']}"])
    assert noted(app)[2:] == [f"out {first['pid']}", f"out {pid}"], "children end before what they may use"


async def test_a_child_that_enters_no_lifespan_has_no_state(heavy: Serve) -> None:
    async with heavy(source=LIFESPAN, fails="pass", enters=False) as app:
        status = await app.ended("work")

        assert status.error is not None
        assert status.error.type == "ConfigurationError"
        assert noted(app) == [f"in {os.getpid()}"]


async def test_a_lifespan_that_fails_in_a_child_ends_the_worker_before_it_takes_a_job(heavy: Serve) -> None:
    fails = f"if os.getpid() != {os.getpid()}: raise RuntimeError('no model')"
    with pytest.raises(StartFailed, match=r"a child process: lifespan lifespan failed: RuntimeError: no model \(heavy_"):
        await heavy(source=LIFESPAN, fails=fails, enters=True).__aenter__()


@pytest.mark.parametrize("is_json", [True, False])
async def test_a_child_logs_as_its_worker_does_and_says_which_job_it_is_about(
    heavy: Serve, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, is_json: bool
) -> None:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter() if is_json else PlainFormatter())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    async with heavy(source=LIFESPAN, fails="pass", enters=True) as app:
        status = await app.ended("work")
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "at work" in line]

    if is_json:
        told = json.loads(line)
        assert (told["logger"], told["message"], told["job"], told["task"]) == ("shop", "at work", status.id, "work")
    else:
        assert line.endswith(f" WARNING shop [work {status.id} #1] at work")


async def test_a_time_out_ends_what_no_other_signal_would(heavy: Serve) -> None:
    async with heavy() as app:
        status = await app.ended("hold")

        assert status.error is not None
        assert (status.state, status.error.message) == ("failed", "took longer than its time-out of 1 s")
        assert is_gone(app.pids[0])
        assert (await app.ended("work")).result["pid"] == app.pids[-1] != app.pids[0]


async def test_a_cancel_ends_it(heavy: Serve) -> None:
    async with heavy() as app:
        job = await app.runner.tasks["hold_on"].submit()
        await eventually(lambda: app.pids)

        await job.cancel()

        assert (await job.wait(PATIENCE_S)).state == "cancelled"
        assert is_gone(app.pids[0])


async def test_a_drain_gives_it_back_and_ends_it(heavy: Serve) -> None:
    async with heavy() as app:
        job = await app.runner.tasks["hold_on"].submit()
        await eventually(lambda: app.pids)
    status = await app.runner.client.status(job.id)

    assert (status.state, status.crashes, status.failures) == ("queued", 0, 0)
    assert is_gone(app.pids[0])
    await app.runner.close()


@pytest.mark.fault("X09")
@pytest.mark.parametrize(("how", "words"), [("die", "exit code 3"), ("kill", "signal 9 (SIGKILL, out of memory?)")])
async def test_a_child_that_dies_is_a_failed_attempt_and_another_takes_its_place(heavy: Serve, how: str, words: str) -> None:
    async with heavy() as app:
        status = await app.ended("work", how=how)

        assert status.error is not None
        assert (status.state, status.failures, status.crashes) == ("failed", 1, 0)
        assert (status.error.type, status.error.message) == ("ChildCrashed", words)
        assert len(set(app.pids)) == 2
        assert (await app.ended("work")).state == "succeeded"


async def test_a_child_is_replaced_after_its_last_job(heavy: Serve) -> None:
    async with heavy("size=1, max_jobs=2") as app:
        pids = [(await app.ended("work")).result["pid"] for _ in range(6)]

        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 2]
        await eventually(lambda: all(map(is_gone, pids[:4])))


async def test_a_task_can_have_its_child_replaced_after_fewer_of_its_own_jobs(heavy: Serve) -> None:
    source = APP.replace("def surrounded(", "def one_of_two(", 1).replace("middleware=[marked]", "max_jobs_per_child=3", 1)
    async with heavy("size=1, max_jobs=8", source=source) as app:
        pids = []
        for task in ("one_of_two", "work", "one_of_two", "work", "work", "one_of_two", "work", "one_of_two", "work"):
            result = (await app.ended(task)).result
            pids.append(result["ran" if task == "one_of_two" else "pid"])

        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [6, 3], "the third job of the task is the last of its child"
        pids += [(await app.ended("work")).result["pid"] for _ in range(6)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [6, 8, 1], "others count up to the most of all"


def test_a_most_of_jobs_is_refused_for_a_task_without_a_child_and_as_no_number() -> None:
    with pytest.raises(ConfigurationError, match="max_jobs_per_child is of tasks that run in child processes"):

        @Runner("q").task(max_jobs_per_child=3)
        def work() -> None: ...

    with pytest.raises(ConfigurationError, match="max_jobs_per_child is 0"):

        @Runner("q").task(executor="process", max_jobs_per_child=0)
        def other() -> None: ...


async def test_a_runner_that_no_child_can_import_is_refused_at_the_start(redis_url: str, queue: str) -> None:
    jobs = Runner(queue, redis_url=redis_url)

    @jobs.task(executor="process")
    def work() -> None: ...

    with pytest.raises(ConfigurationError, match=r"child processes \(work\) need a Runner that a child can import"):
        await Worker(jobs).run()


async def test_a_child_that_cannot_start_ends_the_worker_before_it_takes_a_job(heavy: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    source = APP + "\nif os.getpid() != " + str(os.getpid()) + ": raise RuntimeError('not here')\n"

    with pytest.raises(
        ConfigurationError, match="a child process for hold, hold_on, surrounded, tell, work cannot import the app: exit code 1"
    ):
        await heavy(source=source).__aenter__()
    assert "RuntimeError: not here" in capfd.readouterr().err


def test_an_async_function_is_no_task_for_a_process() -> None:
    with pytest.raises(ConfigurationError, match="task 'work': executor is 'process', and its function is async"):

        @Runner("q").task(executor="process")
        async def work() -> None: ...


async def on_a_loop() -> int:
    return 1


def made_once() -> int:
    return 1


@pytest.mark.parametrize(
    ("dependency", "what"), [(Depends(on_a_loop), "on_a_loop is async"), (Depends(made_once, per="worker"), "made_once is per worker")]
)
def test_a_dependency_that_no_child_can_make_is_refused_at_its_declaration(dependency: Any, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"executor is 'process', and its dependency {what}"):

        @Runner("q", dependencies=[dependency]).task(executor="process")
        def work() -> None: ...


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": 2.0}, {"max_jobs": True}, {"max_memory": -1}, {"start_timeout": 0}, {"lifespan": 1}]
)
def test_children_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"Children: {next(iter(options))} is"):
        Children(**options)
