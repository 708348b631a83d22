"""A Runner and a Client in any number of event loops: one after the other, at once in threads, after a fork; each loop leaves nothing open."""

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis

from runner import Client, JobHandle, Runner, Taken, Task, TokenBucket
from runner.client import Session, sessions
from runner.client.blocking import door
from runner.errors import ClientClosed
from runner.jobs import Priority
from runner.store import JobStore
from runner.store.keys import Keys
from tests.app_internals import publish
from tests.eventually import eventually
from tests.forking import in_child
from tests.worker.conftest import Crew
from tests.worker.test_takers import in_line, standing

Main = Coroutine[Any, Any, Any]
NewLoop = Callable[[], asyncio.AbstractEventLoop]
Greet = Task[[str], str]
KINDS: dict[str, NewLoop] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
FEW = TokenBucket("few", rate="1/h", burst=5)


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """A way to make event loops."""
    made: NewLoop = request.param
    return made


@pytest.fixture
def greet(app: Runner) -> Greet:
    @app.task
    async def greet(name: str) -> str:
        return f"hello {name}"

    return greet


@pytest.fixture
def nothing_left_open() -> Iterator[None]:
    """After the test as many sockets are open as before it."""
    before = open_sockets()
    yield
    assert open_sockets() == before


def open_sockets() -> int:
    """Without those of clients that are gone, whose connections the thread of plain code closes just now."""
    gc.collect()
    with ThreadPoolExecutor(1) as thread:  # the door refuses to stop the loop of a test
        thread.submit(door.call, closed_here).result()
    return sum(str(entry.readlink()).startswith("socket:") for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())


async def closed_here() -> None:
    here = asyncio.get_running_loop()
    while closing := [task for task in sessions._closing if task.get_loop() is here]:
        await asyncio.wait(closing)


def run(main: Callable[[], Main], new_loop: NewLoop = asyncio.new_event_loop) -> Any:
    """As `asyncio.run` does it in a program; call it in a thread, since the test has a loop of its own."""
    with asyncio.Runner(loop_factory=new_loop) as loop:
        return loop.run(main())


async def test_one_loop_after_the_other_uses_an_app_and_a_client_and_leaves_nothing_open(
    app: Runner, greet: Greet, new_loop: NewLoop, nothing_left_open: None
) -> None:
    async def main() -> str:
        await app.take(app.limit(FEW))
        job = await greet.submit("a")
        assert (await app.client.status(job.id)).state == "queued"
        return job.id

    ids = [await asyncio.to_thread(run, main, new_loop) for _ in range(4)]

    assert len(set(ids)) == 4
    assert len(app._sessions._open.sessions) == 1, "loops that have ended are remembered"


async def test_a_loop_that_ends_by_an_error_or_with_calls_under_way_leaves_nothing_open(
    app: Runner, greet: Greet, new_loop: NewLoop, nothing_left_open: None
) -> None:
    async def failing() -> None:
        job = await greet.submit("a")
        waits = [asyncio.create_task(job.wait()), asyncio.create_task(app.take(app.limit(FEW), cost=5, wait=None))]
        waits += [asyncio.create_task(app.take(FEW, wait=None))]
        await asyncio.sleep(0.05)
        assert not waits[2].done()
        raise LookupError

    with pytest.raises(LookupError):
        await asyncio.to_thread(run, failing, new_loop)


async def test_a_job_submitted_in_one_loop_is_awaited_in_others(app: Runner, greet: Greet, crew: Crew, new_loop: NewLoop) -> None:
    job: JobHandle[str] = await asyncio.to_thread(run, lambda: greet.submit("a"), new_loop)
    await crew.start(app)

    assert await job.result(timeout=10) == "hello a"
    assert await asyncio.to_thread(run, lambda: job.result(timeout=10), new_loop) == "hello a"


async def test_loops_at_once_in_threads_publish_once_and_share_one_count_of_tokens(
    app: Runner, greet: Greet, new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch, nothing_left_open: None
) -> None:
    published, publish, limit = list[int](), JobStore.publish, app.limit(FEW)

    async def noted(store: JobStore, *args: Any, **options: Any) -> Any:
        published.append(1)
        return await publish(store, *args, **options)

    monkeypatch.setattr(JobStore, "publish", noted)

    async def main() -> int:
        handles = await asyncio.gather(*(greet.submit(str(number)) for number in range(20)))
        assert len({handle.id for handle in handles}) == 20
        taken = await asyncio.gather(*(app.take(limit) for _ in range(3)), return_exceptions=True)
        return sum(isinstance(one, Taken) for one in taken)

    with ThreadPoolExecutor(8) as threads:
        taken = await asyncio.gather(*(asyncio.wrap_future(threads.submit(run, main, new_loop)) for _ in range(8)))

    assert sum(taken) == 5
    assert len(published) == 1


async def test_a_plain_task_runs_a_loop_of_its_own(app: Runner, greet: Greet, crew: Crew) -> None:
    @app.task
    def parent() -> str:
        async def child() -> str:
            return await (await greet.submit("child")).result(timeout=10)

        return asyncio.run(child())

    await crew.start(app)

    assert await (await parent.submit()).result(timeout=20) == "hello child"


async def test_a_closed_client_refuses_in_its_loop_and_goes_on_in_others(app: Runner, redis_url: str, queue: str, greet: Greet) -> None:
    await publish(app)
    client = Client(queue, redis_url=redis_url)

    async def elsewhere() -> None:
        async with client:
            await client.submit("greet", {"name": "b"})
        with pytest.raises(ClientClosed):
            await client.limits()

    await client.submit("greet", {"name": "a"})
    await asyncio.to_thread(run, elsewhere)
    await client.submit("greet", {"name": "c"})
    await client.close()
    for call in (client.submit("greet", {"name": "d"}), client.tasks(), client.control.show("x"), client.job("e").status()):
        with pytest.raises(ClientClosed):
            await call
    await asyncio.to_thread(run, elsewhere)


async def test_a_client_that_is_closed_before_its_first_use_refuses(redis_url: str) -> None:
    client = Client("other", redis_url=redis_url)
    await client.close()

    with pytest.raises(ClientClosed):
        await client.limits()


async def test_closing_an_app_in_one_loop_leaves_the_waiters_of_another(app: Runner, greet: Greet, crew: Crew) -> None:
    job = await greet.submit("a")
    waiter = asyncio.create_task(job.result(timeout=20))

    async def elsewhere() -> None:
        await greet.submit("b")
        ends = asyncio.create_task(job.result())
        await eventually(lambda: app._session._listener._watches)
        await app.close()
        with pytest.raises(ClientClosed):
            await ends
        await greet.submit("c")

    await asyncio.to_thread(run, elsewhere)
    await crew.start(app)

    assert await waiter == "hello a"


async def test_the_sockets_of_a_loop_that_was_closed_by_hand_are_closed_at_the_next_use(
    app: Runner, greet: Greet, nothing_left_open: None
) -> None:
    def by_hand() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(greet.submit("a"))
        loop.close()

    before = open_sockets()
    await asyncio.to_thread(by_hand)
    assert open_sockets() == before + 1
    await asyncio.to_thread(run, lambda: greet.submit("b"))


async def test_forked_children_submit_while_a_thread_of_their_parent_does(app: Runner, greet: Greet, queue: str, redis: Redis) -> None:
    stop, handles = threading.Event(), list[JobHandle[str]]()

    async def busy() -> None:
        while not stop.is_set():
            handles.append(await greet.submit("parent"))

    with ThreadPoolExecutor(1) as threads:
        parent = threads.submit(run, busy)
        try:
            for number in range(20):
                task = greet.with_options(id=f"child-{number}")
                await asyncio.to_thread(in_child, partial(run, partial(task.submit, "child")))
        finally:
            stop.set()
        await asyncio.wrap_future(parent)

    assert len(handles) > 20
    for number in range(20):
        assert (await app.client.status(f"child-{number}")).state == "queued"
    assert await redis.xlen(Keys(queue).stream(Priority.normal)) == 20 + len(handles)


async def test_a_child_leaves_the_connections_and_tickets_of_its_parent_alone(app: Runner, greet: Greet, redis: Redis, queue: str) -> None:
    limit = app.limit(TokenBucket("slow", rate="1/h", burst=1))
    await app.take(limit)
    waiter = asyncio.create_task(app.take(limit, wait=None))
    await eventually(standing(redis, queue, 1))
    loop = asyncio.get_running_loop()

    def end_a_copy_of_the_loop() -> None:
        """As a child does that leaves its parent's `asyncio.run` by an error."""
        (end,) = [end for end in loop._asyncgens if end.__name__ == "_closed_with"]  # type: ignore[attr-defined] # nothing public tells
        run(end.aclose)

    await asyncio.to_thread(in_child, end_a_copy_of_the_loop)

    assert await in_line(redis, queue) == 1
    assert (await (await greet.submit("a")).status()).state == "queued"
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert await in_line(redis, queue) == 0


async def test_a_child_that_runs_a_loop_of_its_parent_has_connections_of_its_own(
    app: Runner, greet: Greet, nothing_left_open: None
) -> None:
    loop = asyncio.new_event_loop()

    def submit() -> Session:
        loop.run_until_complete(greet.submit("a"))
        return app._sessions._open.sessions[loop]

    session = await asyncio.to_thread(submit)

    def in_the_child() -> None:
        assert submit() is not session

    await asyncio.to_thread(in_child, in_the_child)

    def end() -> None:
        assert submit() is session
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    await asyncio.to_thread(end)


async def test_a_client_that_is_forgotten_closes_its_connections(redis_url: str, nothing_left_open: None) -> None:
    async def main() -> None:
        before = open_sockets()
        await Client("other", redis_url=redis_url).limits()
        await eventually(lambda: open_sockets() == before)

    await asyncio.to_thread(run, main)
