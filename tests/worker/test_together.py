"""The results of many jobs: all of them, however busy their worker is, as they end, and of a stream of items that is begun again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from runner import Client, Completed, JobHandle, Runner
from runner.client.ends import Ends
from runner.client.session import Session
from runner.errors import (
    ClientClosed,
    InvalidArguments,
    InvalidOption,
    JobFailed,
    JobIdConflict,
    StillUnavailable,
    SubmissionRefused,
    UnknownJob,
)
from runner.store import MOST_SMALL, MOST_WATCHED
from tests.eventually import PATIENCE_S, eventually
from tests.pages import run_blocks
from tests.servers import Server
from tests.worker.conftest import Crew, MakeApp, a_crew, short_settings

T = TypeVar("T")

MANY = 2_000


class Tasks:
    """Tasks of an app, and what ran."""

    def __init__(self, app: Runner) -> None:
        self.app = app
        self.ran: list[int] = []
        self.may_end = asyncio.Event()

        @app.task
        async def double(number: int) -> int:
            self.ran.append(number)
            return 2 * number

        @app.task(retries=0)
        async def fail(number: int) -> str:
            raise ValueError(number)

        @app.task
        async def large(number: int) -> str:
            return str(number) * 2 * MOST_SMALL

        @app.task(name="held")
        async def held(number: int) -> int:
            self.ran.append(number)
            await self.may_end.wait()
            return number

        self.double, self.fail, self.large, self.held = double, fail, large, held

    async def submitted(self, count: int) -> list[JobHandle[int]]:
        return await self.app.submit_many([self.double.prepare(number) for number in range(count)])


@pytest.fixture
def tasks(app: Runner) -> Tasks:
    return Tasks(app)


def calls_counted(app: Runner, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each call of the app asks for the end of."""
    counts: list[int] = []
    store = session_of_app(app).store
    watch = store.watch

    async def counted(ids: Any) -> Any:
        counts.append(len(ids))
        return await watch(ids)

    monkeypatch.setattr(store, "watch", counted)
    return counts


def session_of_app(app: Runner) -> Session:
    return app._session


async def test_thousands_of_results_beside_a_busy_worker_all_arrive(tasks: Tasks, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = await tasks.submitted(MANY)
    counts = calls_counted(tasks.app, monkeypatch)
    waiting = asyncio.create_task(tasks.app.gather(handles))
    await eventually(lambda: sum(counts) >= MANY)
    assert counts == [MOST_WATCHED] * (MANY // MOST_WATCHED) + [MANY % MOST_WATCHED]  # before the worker starts: few calls
    await crew.start(tasks.app)

    assert await waiting == [2 * number for number in range(MANY)]
    assert sum(counts) <= 3 * MANY  # a job is asked for when it is added and when it has ended, and large pages in parts


async def test_results_come_in_the_form_and_order_of_the_handles(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)
    one, two = await tasks.submitted(2)

    assert await tasks.app.gather((two, one, two)) == (2, 0, 2)
    assert await tasks.app.gather([two, one]) == [2, 0]
    assert await tasks.app.gather(handle for handle in (one,)) == [0]
    assert await tasks.app.gather([]) == []


async def test_a_failure_is_raised_at_once_or_returned_in_its_place(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)
    held, failing, unknown = await tasks.held.submit(1), await tasks.fail.submit(2), tasks.app.client.job("no-such-job")

    with pytest.raises(JobFailed, match=f"job {failing.id} failed: ValueError: 2"):
        await tasks.app.gather((held, failing))
    assert not (await held.status()).state.is_final  # the others go on
    tasks.may_end.set()
    one, error, missing = await tasks.app.gather((held, failing, unknown), return_exceptions=True)
    assert one == 1
    assert isinstance(error, JobFailed)
    assert isinstance(missing, UnknownJob)


async def test_jobs_come_as_they_end_until_the_time_is_over(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)
    held, double, failing = await tasks.held.submit(0), await tasks.double.submit(1), await tasks.fail.submit(2)
    met: list[Completed[object]] = []

    async def meet() -> None:
        async for job in tasks.app.as_completed([held, double, failing], timeout=2):
            met.append(job)  # noqa: PERF401 - what came before the error is kept

    with pytest.raises(TimeoutError, match="the wait for 1 jobs"):
        await meet()
    assert {job.handle for job in met} == {double, failing}
    results = {job.handle.id: job for job in met}
    assert results[double.id].result() == 2
    with pytest.raises(JobFailed):
        results[failing.id].result()
    assert results[failing.id].status.state == "failed"
    with pytest.raises(TimeoutError):
        assert [job.handle async for job in tasks.app.as_completed([held], timeout=0)] == []
    assert {job.handle async for job in tasks.app.as_completed([double, failing], timeout=0)} == {double, failing}
    tasks.may_end.set()


async def test_large_results_come_one_at_a_time(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)
    handles = [await tasks.large.submit(number) for number in range(5)]

    assert [len(result) for result in await tasks.app.gather(handles)] == [2 * MOST_SMALL] * 5


async def test_ends_that_were_missed_are_looked_for_when_ends_are_heard_of_again(tasks: Tasks, crew: Crew) -> None:
    handles = await tasks.submitted(3)
    waiting = asyncio.create_task(tasks.app.gather(handles))
    listener = session_of_app(tasks.app)._listener
    await eventually(lambda: bool(listener._subscribers))
    (waiter,) = listener._subscribers
    assert isinstance(waiter, Ends)
    await eventually(lambda: waiter._news is not None)
    listener.unsubscribe(waiter)
    await crew.start(tasks.app)
    for handle in handles:
        await handle.result(timeout=10)
    assert not waiting.done()
    listener.subscribe(waiter)
    listener._announce(None)

    assert await asyncio.wait_for(waiting, PATIENCE_S) == [0, 2, 4]


async def test_all_of_it_rides_out_a_dead_server(private_server: Server) -> None:
    app = Runner("together", settings=short_settings(private_server.url))
    tasks = Tasks(app)
    handles = await tasks.submitted(300)
    waiting = asyncio.create_task(app.gather(handles))
    await eventually(lambda: bool(session_of_app(app)._listener._subscribers))
    private_server.kill()
    mapped = asyncio.create_task(collected(app.map(tasks.double, range(1_000, 1_100))))
    with pytest.raises(StillUnavailable, match="the wait for 300 jobs"):
        await collected(app.as_completed(handles, timeout=0.5))
    assert not any(wait.done() for wait in (waiting, mapped))
    private_server.start()
    async with a_crew() as crew:
        await crew.start(app)
        assert await waiting == [2 * number for number in range(300)]
        assert {done.result() for done in await mapped} == {2 * number for number in range(1_000, 1_100)}
    assert len(tasks.ran) == 400
    await app.close()


async def collected(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


async def test_who_waits_learns_that_the_app_was_closed(tasks: Tasks) -> None:
    waiting = asyncio.create_task(tasks.app.gather(await tasks.submitted(3)))
    await eventually(lambda: bool(session_of_app(tasks.app)._listener._subscribers))
    await tasks.app.close()

    with pytest.raises(ClientClosed):
        await waiting


async def test_what_cannot_be_waited_for_together_is_refused_by_name(tasks: Tasks, redis_url: str, queue: str) -> None:
    handle = await tasks.double.submit(1)
    async with Client(queue, redis_url=redis_url) as other:
        with pytest.raises(InvalidOption, match=f"job {handle.id!r} is of another app or client"):
            await tasks.app.gather([handle, other.job(handle.id)])
    with pytest.raises(InvalidOption, match="a handle is 'id'"):
        await tasks.app.gather(["id"])  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="wait is -1"):
        await anext(tasks.app.as_completed([handle], timeout=-1))


# map


async def test_every_item_is_given_with_its_result(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)

    async def slow() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    app = tasks.app
    assert {done.item: done.result() async for done in app.map(tasks.double, range(500), window=20)} == {n: 2 * n for n in range(500)}
    assert [done.item async for done in app.map(tasks.double, range(100), window=20, ordered=True)] == list(range(100))
    assert {done.result() async for done in app.map(tasks.double, slow())} == {0, 2, 4, 6, 8}
    assert [done.result() async for done in app.map(tasks.double, [{"number": 3}], id="n-{number}")] == [6]
    assert [done.id async for done in app.map(tasks.double, [(4,)], id=lambda item: f"f-{item[0]}")] == ["f-4"]
    assert await collected(app.map(tasks.double, list[int]())) == []
    assert [done.item async for done in app.map(tasks.double, [7, 7], id="n-{number}")] == [7, 7]
    (failed,) = [done async for done in app.map(tasks.fail, [1])]
    assert failed.status.state == "failed"


async def test_no_more_than_the_window_is_unended(tasks: Tasks, crew: Crew) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    given = tasks.app.map(tasks.held, items(), window=10)
    first = asyncio.create_task(anext(given))
    await crew.start(tasks.app)
    await eventually(lambda: len(tasks.ran) == 10)
    assert taken == list(range(10))
    tasks.may_end.set()
    await first
    assert len([done async for done in given]) == 99
    assert sorted(tasks.ran) == taken == list(range(100))


async def test_a_run_that_was_left_is_begun_again_and_nothing_is_done_twice(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)
    async with aclosing(tasks.app.map(tasks.double, range(300), window=50, id="import-{number}")) as half:
        async for done in half:
            if done.item >= 150:
                break

    whole = {done.item: done.result() async for done in tasks.app.map(tasks.double, range(300), window=50, id="import-{number}")}

    assert whole == {number: 2 * number for number in range(300)}
    assert sorted(tasks.ran) == list(range(300))


@pytest.mark.parametrize("cancel", [False, True])
async def test_who_leaves_cancels_the_rest_if_he_says_so(tasks: Tasks, cancel: bool) -> None:
    given = tasks.app.map(tasks.double, range(5), id="left-{number}", cancel=cancel)
    waiting = asyncio.create_task(anext(given))
    jobs = [tasks.app.client.job(f"left-{number}") for number in range(5)]

    async def submitted() -> bool:
        return None not in await tasks.app.client.statuses([job.id for job in jobs])

    await eventually(submitted)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert {(await job.status()).state.value for job in jobs} == {"cancelled" if cancel else "queued"}


@pytest.mark.parametrize(
    ("items", "options", "error", "message", "index"),
    [
        ([1, 2, "x"], {}, InvalidArguments, "number", 2),
        ([1, {"no": 2}], {"id": "n-{number}"}, InvalidArguments, "no", 1),
        ([1], {"id": "n-{nmber}"}, InvalidArguments, "nmber", 0),
        ([1, 2], {"id": lambda item: "same"}, JobIdConflict, "same", 1),
        (7, {}, InvalidOption, "the items to map are 7", 0),
        ([1], {"window": 0}, InvalidOption, "window of a map is 0", 0),
    ],
)
async def test_what_cannot_be_submitted_is_told_with_its_number(
    tasks: Tasks, items: Any, options: dict[str, Any], error: type[SubmissionRefused], message: str, index: int
) -> None:
    with pytest.raises(error, match=message) as raised:
        await anext(tasks.app.map(tasks.double, items, **options))
    assert raised.value.index == index


async def test_an_error_of_the_items_is_raised_to_who_maps(tasks: Tasks) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        await anext(tasks.app.map(tasks.double, items()))


async def test_plain_code_has_the_same(tasks: Tasks, crew: Crew) -> None:
    await crew.start(tasks.app)
    app = tasks.app

    def plain() -> None:
        handles = app.blocking.submit_many([tasks.double.prepare(number) for number in range(3)])
        assert app.blocking.gather(handles) == [0, 2, 4]
        assert {job.result() for job in app.blocking.as_completed(handles)} == {0, 2, 4}
        assert {done.result() for done in app.blocking.map(tasks.double, range(3))} == {0, 2, 4}

    await asyncio.to_thread(plain)


async def test_the_page_on_results_says_what_happens(make_app: MakeApp, crew: Crew) -> None:
    app = make_app()
    names = run_blocks("results.md")
    page: Runner = names["jobs"]
    page.queue, page.settings = app.queue, app.settings
    await crew.start(page)

    assert await names["greeted"]() == ("hello a", 5)
    assert await names["printed"](3) == {"hello 0", "hello 1", "hello 2"}
    assert await names["imported"](["a", "b"]) == 2
    await page.close()
