"""The door of plain code: scripts, threads, plain tasks. It works wherever no event loop runs, and refuses where one does."""

import asyncio
import json
import sys
import threading
from asyncio.subprocess import PIPE
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from types import SimpleNamespace

import pytest
from redis.asyncio import Redis

from runner import (
    CallersClient,
    Client,
    ClientClosed,
    Concurrency,
    ConfigurationError,
    JobRequest,
    Principal,
    Runner,
    Scope,
    TakeRefused,
    TokenBucket,
    UnknownJob,
)
from runner.client.blocking import Door, door
from runner.errors import NoResult
from tests.children import start_child
from tests.eventually import eventually
from tests.forking import in_child
from tests.worker.conftest import Crew, MakeApp
from tests.worker.test_event_loops import Greet, greet

__all__ = ["greet"]


async def test_a_script_submits_asks_waits_takes_and_cancels(app: Runner, greet: Greet, crew: Crew, redis_url: str, queue: str) -> None:
    slow, gpu = app.limit(TokenBucket("slow", rate="1/h", burst=1)), app.limit(Concurrency("gpu", 1))
    await crew.start(app)

    def script() -> None:
        job = greet.blocking.submit("a")
        assert job.result(timeout=10) == "hello a"
        assert (job.first_state, job.status().state, job.wait().state, repr(job)) == (
            "queued",
            "succeeded",
            "succeeded",
            f"BlockingHandle({job.id!r})",
        )
        later = greet.with_options(delay=60).blocking.submit("b")
        assert later.cancel().state == "cancelled"
        handles = app.blocking.submit_many([greet.prepare("c"), greet.prepare("d")])
        assert [handle.result(timeout=10) for handle in handles] == ["hello c", "hello d"]
        app.blocking.take(slow)
        with pytest.raises(TakeRefused):
            app.blocking.take(slow)
        with app.blocking.slot(gpu), pytest.raises(TakeRefused), app.blocking.slot(gpu, wait=0):
            pass
        with pytest.raises(LookupError), app.blocking.slot(gpu, wait=0):
            raise LookupError
        with app.blocking.slot(gpu, wait=0):
            pass
        client = Client(queue, redis_url=redis_url).blocking
        assert client.submit("greet", {"name": "e"}).result(timeout=10) == "hello e"
        (named,) = client.submit_many([JobRequest("greet", {"name": "f"})])
        assert client.result(named.id, timeout=10) == client.job(named.id).result() == "hello f"
        assert {limit.name for limit in client.limits()} == {"slow", "gpu"}
        assert client.control.pause("slow", reason="test").paused is not None
        client.close()
        with pytest.raises(ClientClosed):
            client.limits()
        app.blocking.close()

    await asyncio.to_thread(script)


async def test_a_script_reads_a_large_result_part_by_part(app: Runner, crew: Crew) -> None:
    @app.task
    async def write(size: int) -> str:
        return "x" * size

    await crew.start(app)

    def script() -> None:
        job = write.blocking.submit(2_500_000)
        assert job.wait(10, most_result=1_000).result_bytes == 2_500_002
        raw = job.raw_result()
        assert (raw.id, raw.size, [len(part) for part in raw]) == (job.id, 2_500_002, [1_000_000, 1_000_000, 500_002])
        assert b"".join(raw) == json.dumps(job.result()).encode()
        with pytest.raises(NoResult, match="it has no result before its end"):
            write.with_options(delay=60).blocking.submit(1).raw_result()
        app.blocking.close()

    await asyncio.to_thread(script)


async def test_a_script_follows_a_job_and_the_ends_of_a_queue(app: Runner, greet: Greet, crew: Crew) -> None:
    await crew.start(app)

    def script() -> None:
        client = app.client.blocking
        jobs = [greet.blocking.submit(name) for name in "abc"]
        for job in jobs:
            job.wait(10)
        ends = []
        for event in client.events("0"):
            ends.append(event)
            if len(ends) == 2:
                break
        assert {event.job_id for event in ends} < {job.id for job in jobs}
        assert next(iter(client.events(ends[-1].id))).id == client.latest_event()
        later = greet.with_options(delay=60).blocking.submit("d")
        changes = later.changes()
        assert next(changes).state == "scheduled"
        later.cancel()
        assert [status.state for status in changes] == ["cancelled"]
        with pytest.raises(UnknownJob):
            next(client.job("nothing").changes())
        app.blocking.close()

    await asyncio.to_thread(script)


async def test_plain_code_of_a_restricted_client_stays_within_its_restriction(app: Runner, greet: Greet) -> None:
    client = CallersClient(app.client, Principal("other", frozenset(Scope), tasks=("charge",)))
    job = await greet.submit("a")

    def script() -> None:
        for call in (client.blocking.status, client.blocking.cancel, client.blocking.result):
            with pytest.raises(UnknownJob):
                call(job.id)
        assert client.blocking.statuses([job.id]) == [None]

    await asyncio.to_thread(script)
    assert (await job.status()).state == "queued"


async def test_where_an_event_loop_runs_it_refuses_before_anything_is_sent(app: Runner, greet: Greet, redis: Redis, queue: str) -> None:
    for call in (lambda: greet.blocking.submit("a"), app.client.blocking.limits, app.blocking.slot("x").__enter__):
        with pytest.raises(ConfigurationError, match=r"would stop the event loop that runs in this thread: leave out `\.blocking`"):
            call()

    def inside_the_door() -> None:
        async def calls() -> None:
            greet.blocking.submit("a")

        door.call(calls)

    with pytest.raises(ConfigurationError, match="would stop the event loop"):
        await asyncio.to_thread(inside_the_door)
    assert await redis.keys(f"runner:{{{queue}}}:*") == []


async def test_a_plain_task_submits_and_waits_for_a_child_though_the_loop_of_its_worker_stands_still(
    app: Runner, greet: Greet, crew: Crew, redis_url: str, queue: str
) -> None:
    begun, stand, submitted = threading.Event(), threading.Event(), threading.Event()

    @app.task
    def parent() -> str:
        begun.set()
        stand.wait(10)
        child = greet.blocking.submit("child")
        submitted.set()
        return child.result(timeout=10)

    await crew.start(app)
    job = await parent.submit()
    await eventually(begun.is_set)
    stand.set()
    assert submitted.wait(10), "the loop that stands still here is the worker's too"

    assert await job.result(timeout=10) == "hello child"


async def test_calls_of_many_threads_share_one_connection_and_their_commands(app: Runner, greet: Greet, redis: Redis) -> None:
    def script(number: int) -> list[str]:
        return [greet.blocking.submit(f"{number}-{turn}").id for turn in range(10)]

    with ThreadPoolExecutor(20) as threads:
        submitted = await asyncio.gather(*(asyncio.wrap_future(threads.submit(script, number)) for number in range(20)))
    ids = [job_id for some in submitted for job_id in some]

    assert len(set(ids)) == 200
    assert len(app._sessions._open.sessions) == 1
    assert [thread.name for thread in threading.enumerate()].count("runner-blocking") == 1


async def test_the_context_of_the_caller_is_that_of_the_call() -> None:
    tenant = ContextVar[str]("tenant")

    async def call() -> tuple[str, str]:
        return tenant.get(), threading.current_thread().name

    def script() -> tuple[str, str]:
        tenant.set("t7")
        return door.call(call)

    assert await asyncio.to_thread(script) == ("t7", "runner-blocking")


def test_eventlet_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eventlet.patcher", SimpleNamespace(is_monkey_patched=lambda _: True))

    with pytest.raises(ConfigurationError, match="eventlet is not supported"):
        Door().call(asyncio.Event().wait)


async def test_greenlets_wait_for_their_jobs_all_at_once(make_app: MakeApp, crew: Crew, redis_url: str, queue: str) -> None:
    pytest.importorskip("gevent")
    app, all_are_there, there = make_app(concurrency=20), asyncio.Event(), list[int]()

    @app.task
    async def meet(number: int) -> int:
        there.append(number)
        if len(there) == 20:
            all_are_there.set()
        await all_are_there.wait()
        return number

    await crew.start(app)
    program = await start_child(sys.executable, "-m", "tests.worker.under_gevent", redis_url, queue, "20", stdout=PIPE)
    said, _ = await program.communicate()

    assert said.decode().split() == [str(number) for number in range(20)]
    assert program.returncode == 0


async def test_a_forked_child_has_a_door_of_its_own(app: Runner, greet: Greet) -> None:
    def script() -> None:
        greet.blocking.submit("parent")
        for number in range(3):
            in_child(lambda number=number: greet.with_options(id=f"child-{number}").blocking.submit("child"))  # type: ignore[misc]
        greet.blocking.submit("parent")

    await asyncio.to_thread(script)

    assert [(await app.client.status(f"child-{number}")).state for number in range(3)] == ["queued"] * 3
