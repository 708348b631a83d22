"""How far jobs are, as their handlers say it: from async and plain code, in few calls, and heard by who watches."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from runner import Progress, Runner, current_job
from runner.jobs.progress import NOTED, reported
from runner.store import Claims
from runner.worker.progress import PERIOD_S
from tests.eventually import eventually
from tests.pages import run_blocks
from tests.worker.conftest import Crew, MakeApp


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ((-1,), "done is -1, and must be a number from 0 to 2\\^53"),
        (("1",), "done is '1'"),
        ((float("nan"),), "done is nan"),
        ((float("inf"),), "done is inf"),
        ((10**400,), "done is 1000"),
        ((True,), "done is True"),
        ((None,), "done is None"),
        ((1, "x"), "total is 'x'"),
        ((1, 2, 3), "note is 3, and must be a text"),
    ],
)
def test_what_is_no_progress_is_refused_by_name(said: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^progress: {message}"):
        reported(*said, *(None,) * (3 - len(said)))


def test_a_note_is_cut_and_is_a_text_that_can_be_written() -> None:
    assert reported(0, None, "x" * 300).note == "x" * 200
    assert reported(0, 0, "\ud800").encoded(3) == b'[3, 0, 0, "\\\\ud800"]'
    assert Progress(3, 0, "", 0.0).fraction is None
    assert Progress(3, 2, "", 0.0).fraction == 1


async def test_what_it_returns_may_be_awaited_and_is_no_coroutine() -> None:
    await NOTED
    assert not asyncio.iscoroutine(NOTED)


async def listed(folder: str) -> list[str]:
    return [f"{folder}/{number}" for number in range(3)]


async def shrink(photo: str) -> None: ...


async def test_the_page_on_progress_says_what_happens(redis_url: str, queue: str, make_app: MakeApp, crew: Crew) -> None:
    app = make_app()
    names = run_blocks("progress.md", listed=listed, shrink=shrink)
    page: Runner = names["jobs"]
    page.queue, page.settings = app.queue, app.settings
    await crew.start(page)
    job = await names["resize"].submit("a")

    assert await job.result(timeout=10) == 3
    progress = (await job.status()).progress
    assert progress is not None
    assert (progress.done, progress.total, progress.note, progress.fraction) == (3, 3, "resized a/2", 1.0)
    await page.close()


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_what_a_running_handler_says_is_seen(app: Runner, crew: Crew, kind: str) -> None:
    released, go_on = asyncio.Event(), threading.Event()

    @app.task(name="async")
    async def in_loop() -> None:
        await current_job().progress(1, 4, "begun")
        await released.wait()

    @app.task(name="plain")
    def in_thread() -> None:
        current_job().progress(1, 4, "begun")
        go_on.wait(20)

    await crew.start(app)
    job = await app.tasks[kind].submit()

    async def is_seen() -> bool:
        progress = (await job.status()).progress
        return progress is not None and (progress.done, progress.total, progress.note) == (1, 4, "begun")

    await eventually(is_seen)
    assert (await job.status()).state == "running"
    released.set()
    go_on.set()
    await job.wait(timeout=10)


async def test_who_follows_hears_each_word_and_the_end(app: Runner, crew: Crew) -> None:
    heard: list[float] = []
    released = [asyncio.Event() for _ in range(3)]

    @app.task
    async def work() -> None:
        for done, event in enumerate(released):
            current_job().progress(done, 3)
            await event.wait()

    await crew.start(app)
    job = await work.submit()
    async with asyncio.timeout(20):
        async for progress in job.progress():
            heard.append(progress.done)
            released[int(progress.done)].set()

    assert heard == [0, 1, 2]


async def test_many_words_of_many_jobs_are_a_few_calls(app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    send = Claims.progress

    async def counted(self: Claims, worker: str, reports: Sequence[tuple[str, int, bytes]]) -> None:
        sent.append(len(reports))
        await send(self, worker, reports)

    monkeypatch.setattr(Claims, "progress", counted)

    @app.task
    async def work() -> None:
        for done in range(1_000):
            current_job().progress(done, 1_000)
            if done % 10 == 0:
                await asyncio.sleep(0.002)

    await crew.start(app)
    begun_s = asyncio.get_running_loop().time()
    handles = await app.submit_many([work.prepare() for _ in range(10)])
    statuses = [await handle.wait(timeout=20) for handle in handles]

    assert {status.progress and status.progress.done for status in statuses} == {999}
    assert len(sent) <= 2 + (asyncio.get_running_loop().time() - begun_s) / PERIOD_S
    assert max(sent) <= 10


async def test_a_report_that_redis_refuses_ends_no_worker(app: Runner, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = asyncio.Event()

    async def refuse(*_: object) -> None:
        refused.set()
        raise ValueError("no")

    monkeypatch.setattr(Claims, "progress", refuse)

    @app.task
    async def work() -> int:
        current_job().progress(1)
        await refused.wait()
        return 3

    await crew.start(app)

    assert await (await work.submit()).result(timeout=10) == 3
