"""Flows and batches as an app's code uses them, with workers: after, chain, batch, and what a handler reads of its parents."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from runner import Batch, JobHandle, MemberState, Runner, State, Task, current_job
from runner.client import batch as batches
from runner.errors import (
    BacklogFull,
    CannotRetry,
    ConfigurationError,
    InvalidOption,
    JobCancelled,
    JobFailed,
    NoResult,
    UnknownBatch,
    UnknownParent,
)
from runner.jobs import summary
from runner.testing import run
from runner.worker import parents as reading
from tests.worker.conftest import Crew, MakeApp

SOON = 30.0


@dataclass
class Page:
    url: str
    links: list[str]


@pytest.fixture
def tasks(app: Runner) -> dict[str, Task[..., Any]]:
    """fetch makes a page, parse reads its parents, and broken fails."""

    @app.task
    async def fetch(url: str) -> Page:
        return Page(url, [f"{url}/1", f"{url}/2"])

    @app.task
    async def parse(note: str = "") -> list[str]:
        found = await current_job().parents(result=Page)
        return [note, *(link for page in found for link in page.result().links)]

    @app.task
    def counted() -> int:
        return sum(parent.state is MemberState.succeeded for parent in current_job().blocking.parents())

    @app.task(retries=0)
    async def broken() -> None:
        raise RuntimeError("no")

    @app.task
    async def told() -> list[str]:
        said = []
        for parent in await current_job().parents():
            try:
                said.append(f"{parent.id} {parent.state} {parent.result()}")
            except (JobFailed, NoResult) as error:
                said.append(f"{parent.id} {parent.state} {type(error).__name__}")
        return said

    return {task.name: task for task in (fetch, parse, counted, broken, told)}


async def test_a_job_comes_after_others_and_reads_what_they_returned(app: Runner, crew: Crew, tasks: dict[str, Any]) -> None:
    first, second = await tasks["fetch"].submit("a"), await tasks["fetch"].submit("b")
    job = await tasks["parse"].after(second, [first]).submit("x")
    count = await tasks["counted"].after(first.id, second).submit()
    status = await job.status()
    assert (status.state, status.reason) == (State.waiting, "jobs")
    sentences = await app.client.explain(status)
    assert sentences[1].startswith(f"It waits for 2 of 2 jobs: {second.id}, {first.id}: it is let go")
    assert "waits     for the jobs" in summary(status)

    await crew.start(app)

    assert await job.result(SOON) == ["x", "b/1", "b/2", "a/1", "a/2"]
    assert await count.result(SOON) == 2


async def test_a_chain_runs_in_its_order_and_ends_with_its_first_failure(app: Runner, crew: Crew, tasks: dict[str, Any]) -> None:
    await crew.start(app)
    *_, last = await app.chain(tasks["fetch"].prepare("a"), tasks["parse"].prepare("y"))
    assert await last.result(SOON) == ["y", "a/1", "a/2"]
    first, second, third = await app.chain(*(tasks[name].prepare() for name in ("broken", "told", "told")))
    with pytest.raises(JobCancelled):
        await third.result(SOON)
    assert (await first.status()).state is State.failed
    with pytest.raises(CannotRetry, match="comes after one that has not succeeded"):
        await second.retry()
    await second.retry(ignore_parents=True)
    assert await second.result(SOON) == [f"{first.id} failed JobFailed"]
    assert await third.result(SOON) == [f"{second.id} succeeded ['{first.id} failed JobFailed']"]
    store = app.client._session.store
    await store.redis.execute_command("DEL", store.keys.history)  # two of these have ended twice, as they were to


async def test_with_the_policy_run_the_handler_sees_how_they_ended(app: Runner, crew: Crew, tasks: dict[str, Any]) -> None:
    await crew.start(app)
    bad = await tasks["broken"].submit()
    gone = await tasks["fetch"].submit("a")
    await gone.result(SOON)
    job = await tasks["told"].after(bad, gone, on_failure="run").with_options(delay=0.5).submit()
    store = app.client._session.store
    await store.redis.execute_command("DEL", store.keys.job(gone.id))
    assert await job.result(SOON) == [f"{bad.id} failed JobFailed", f"{gone.id} succeeded NoResult"]


async def test_hundreds_of_parents_are_named_in_calls_of_their_own(app: Runner, crew: Crew, tasks: dict[str, Any]) -> None:
    before: list[JobHandle[Any]] = await app.submit_many([tasks["fetch"].prepare(str(number)) for number in range(120)])
    job = await tasks["counted"].after(before).submit()
    many: list[JobHandle[Any]] = await app.submit_many(
        [tasks["parse"].after(before).prepare("z"), tasks["counted"].after(before[:3]).prepare()]
    )
    await crew.start(app)
    assert await job.result(SOON) == 120
    assert len(await many[0].result(SOON)) == 241
    assert await many[1].result(SOON) == 3


async def test_what_cannot_be_followed_is_refused_with_its_name(app: Runner, make_app: MakeApp, queue: str, tasks: dict[str, Any]) -> None:
    known = await tasks["fetch"].submit("a")
    with pytest.raises(UnknownParent, match="is to come after nobody, and there is no such job"):
        await tasks["parse"].after("nobody").submit()
    with pytest.raises(UnknownParent, match="come after j60, and") as refused:
        await app.submit_many([tasks["parse"].prepare(), tasks["parse"].after([known, *(f"j{n}" for n in range(60, 120))]).prepare()])
    assert refused.value.index == 1
    other = Runner(f"{queue}-other", settings=app.settings)
    foreign = other.task(name="foreign")(_nothing)
    handle = await foreign.submit()
    try:
        with pytest.raises(InvalidOption, match=f"of queue '{queue}-other', and this task is of queue '{app.queue}'"):
            tasks["parse"].after(handle)
    finally:
        store = other.client._session.store
        await store.redis.execute_command("DEL", *(key.decode() for key in await store.all_keys()))
        await other.close()
    for given, message in [((), "after has no job"), ((3,), "after has 3"), ((["a", None],), "after has None"), (("a b",), "job id 'a b'")]:
        with pytest.raises(Exception, match=message):
            tasks["parse"].after(*given)
    with pytest.raises(InvalidOption, match="on_failure of after is 'stop': give one of cancel, fail, run"):
        tasks["parse"].after(known, on_failure="stop")
    with pytest.raises(InvalidOption, match="after has 10001 jobs, and may have 10000"):
        tasks["parse"].after([f"j{number}" for number in range(10_001)])
    with pytest.raises(InvalidOption, match="a job of a chain is 3"):
        await app.chain(3)  # type: ignore[arg-type]


async def _nothing() -> None: ...


async def test_parents_are_read_in_parts_of_bounded_size(
    app: Runner, crew: Crew, tasks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(reading, "MOST_BYTES", 60)

    @app.task
    async def large(number: int) -> str:
        return str(number) * 20

    @app.task
    async def parts() -> list[Any]:
        job = current_job()
        with pytest.raises(InvalidOption, match="comes after 6 jobs: read them in parts"):
            await job.parents()
        with pytest.raises(ConfigurationError, match="an event loop runs here"):
            job.blocking.parents()
        found = [parent.result()[0] for first in (0, 2, 4) for parent in await job.parents(first=first, most=2)]
        whole = await job.parents(most=4)
        assert whole[0].result() == "0" * 20
        with pytest.raises(NoResult, match="more than 8 MB: read fewer at once, from first=3"):
            whole[3].result()
        return found

    before = await app.submit_many(large.prepare(number) for number in range(6))
    job = await parts.after(before).submit()
    await crew.start(app)
    assert await job.result(SOON) == ["0", "1", "2", "3", "4", "5"]


async def test_outside_of_a_worker_there_are_no_parents_to_read(tasks: dict[str, Any]) -> None:
    ran = await run(tasks["told"])
    assert ran.error is not None
    assert "what came before it cannot be read here" in ran.error.message


# Batches


async def test_a_batch_is_sent_by_parts_and_what_follows_it_reads_its_jobs(
    app: Runner, crew: Crew, tasks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_AT_ONCE", 10)
    await crew.start(app)
    async with app.batch("import", then=tasks["counted"].prepare(), size=25) as batch:
        handles = list[JobHandle[Any]]()
        for number in range(25):
            handles.append(batch.add(tasks["fetch"].prepare(str(number))))
            await asyncio.sleep(0)
        assert batch.then is not None
    assert await batch.then.result(SOON) == 25
    progress = await batch.wait(SOON)
    assert (progress.total, progress.succeeded, progress.pending, progress.done) == (25, 25, 0, 25)
    assert progress == await app.client.open_batch("import").progress()
    assert (await handles[7].result()).url == "7"


async def test_a_block_that_raises_leaves_the_batch_open_and_a_second_one_goes_on(app: Runner, crew: Crew, tasks: dict[str, Any]) -> None:
    await crew.start(app)

    async def fill(batch: Batch, *names: str, error: type[Exception] | None = None) -> None:
        async with batch:
            for name in names:
                batch.add(tasks["fetch"].with_options(id=name).prepare(name))
            await batch.flush()
            if error is not None:
                raise error

    batch = app.batch("import", then=tasks["counted"].prepare())
    with pytest.raises(KeyError):
        await fill(batch, "a", error=KeyError)
    assert (await batch.progress()).sealed_at is None
    again = app.batch("import", then=tasks["counted"].prepare())
    await fill(again, "a", "b")
    progress = await again.wait(SOON)
    assert (progress.total, progress.succeeded) == (2, 2)
    assert progress.then is not None
    assert await app.client.job(progress.then).result(SOON) == 2
    # The same once more is the same batch; what is new is refused.
    await fill(app.batch("import"), "a")
    with pytest.raises(InvalidOption, match="batch 'import' is sealed"):
        await fill(app.batch("import"), "new")


async def test_a_batch_is_cancelled_as_a_whole(app: Runner, crew: Crew, tasks: dict[str, Any]) -> None:
    async with app.batch(then=tasks["counted"].prepare()) as batch:
        for number in range(250):
            batch.add(tasks["fetch"].prepare(str(number)))
    progress = await batch.cancel()
    assert (progress.cancelled, progress.pending, progress.has_ended) == (250, 0, True)
    assert batch.then is not None
    assert (await batch.then.status()).state is State.cancelled
    assert await batch.cancel() == progress
    with pytest.raises(UnknownBatch, match="no batch 'nobody'"):
        await app.client.open_batch("nobody").cancel()


async def test_what_is_no_batch_is_refused(make_app: MakeApp, queue: str) -> None:
    app = make_app(max_backlog=5)
    work = app.task(name="work")(_nothing)
    with pytest.raises(InvalidOption, match="what follows the batch is 3"):
        app.batch(then=3)  # type: ignore[arg-type]
    batch = app.batch("b", size=6)
    with pytest.raises(InvalidOption, match="batch 'b' is not open"):
        batch.add(work.prepare())
    with pytest.raises(BacklogFull):
        async with batch:
            pass
    async with app.batch("c", size=2) as fits:
        with pytest.raises(InvalidOption, match="a job of batch 'c' is 'x'"):
            fits.add("x")  # type: ignore[arg-type]
        fits.add(work.prepare())
    assert (await fits.progress()).total == 1
