"""Two versions of an app on one queue, started in every order: no job is lost, no limit skipped, no argument taken away."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Client, Concurrency, JobFailed, Runner, TokenBucket, Worker
from runner.errors import InvalidArguments, TaskServed, UnknownTask
from runner.jobs import summary
from runner.store import Level
from runner.store.keys import Keys
from tests.app_internals import publish, store_of
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp, state_of

FRAUD = TokenBucket("fraud", rate="1/h", burst=2)


class Version:
    """One version of the app: the second has a task, an argument and a limit more than the first."""

    def __init__(self, make_app: MakeApp, number: int, ran: "Counter[tuple[str, int]]", **settings: Any) -> None:
        self.number = number
        self.app: Runner = make_app(**settings)

        @self.app.task
        async def ping(order: str) -> str:
            ran[order, number] += 1
            return order

        if number == 1:

            @self.app.task
            async def greet(order: str) -> str:
                ran[order, number] += 1
                return order

            @self.app.task
            async def charge(order: str) -> str:
                ran[order, number] += 1
                return order

        else:

            @self.app.task(name="greet")
            async def greet_with_name(order: str, name: str = "") -> str:
                ran[order, number] += 1
                return f"{order} {name}"

            @self.app.task(name="charge", limits=[FRAUD])
            async def charge_with_note(order: str, note: str = "") -> str:
                ran[order, number] += 1
                return f"{order} {note}".strip()

            @self.app.task
            async def refund(order: str) -> str:
                ran[order, number] += 1
                return f"refund of {order}"

    def submit(self, task: str, *args: str) -> Any:
        return self.app.tasks[task].submit(*args)


@pytest.fixture
def ran() -> "Counter[tuple[str, int]]":
    """How often each order was run, by which version."""
    return Counter()


@pytest.fixture
def make(make_app: MakeApp, ran: "Counter[tuple[str, int]]") -> Callable[..., Version]:
    return lambda number, **settings: Version(make_app, number, ran, **settings)


async def worker_of(crew: Crew, version: Version) -> Worker:
    return await crew.start(version.app)


ORDERS = [(1, 2), (2, 1)]
in_both_orders = pytest.mark.parametrize("order", ORDERS, ids=["old first", "new first"])


@in_both_orders
async def test_jobs_of_a_new_task_all_run_at_the_workers_that_know_it(
    crew: Crew, make: Callable[..., Version], ran: "Counter[tuple[str, int]]", order: tuple[int, int]
) -> None:
    for number in order:
        await worker_of(crew, make(number))
    producer = make(2)

    jobs = [await producer.submit("refund", f"o-{number}") for number in range(20)]

    assert [await job.result(timeout=20) for job in jobs] == [f"refund of o-{number}" for number in range(20)]
    assert ran == {(f"o-{number}", 2): 1 for number in range(20)}
    assert [(await job.status()).failures for job in jobs] == [0] * 20


@in_both_orders
async def test_jobs_with_a_new_argument_all_run_at_the_workers_that_read_it(
    crew: Crew, make: Callable[..., Version], ran: "Counter[tuple[str, int]]", order: tuple[int, int]
) -> None:
    for number in order:
        await worker_of(crew, make(number))
    producer = make(2)

    jobs = [await producer.submit("greet", f"o-{number}", "Ada") for number in range(10)]

    assert [await job.result(timeout=20) for job in jobs] == [f"o-{number} Ada" for number in range(10)]
    assert ran == {(f"o-{number}", 2): 1 for number in range(10)}


async def test_a_new_argument_that_no_live_worker_reads_is_a_dead_letter(crew: Crew, make: Callable[..., Version]) -> None:
    await worker_of(crew, make(1))

    job = await make(2).submit("greet", "o-1", "Ada")

    with pytest.raises(JobFailed, match="InvalidArguments"):
        await job.result(timeout=5)


async def test_a_new_task_waits_at_old_workers_for_a_new_one(
    crew: Crew, make: Callable[..., Version], ran: "Counter[tuple[str, int]]"
) -> None:
    old = make(1)
    await worker_of(crew, old)
    job = await make(2).submit("refund", "o-1")
    await state_of(old.app, job.id, "waiting")
    status = await job.status()
    assert (status.reason, status.error, status.failures) == ("no worker", None, 0)

    await worker_of(crew, make(2))

    assert await job.result(timeout=5) == "refund of o-1"
    assert ran == {("o-1", 2): 1}


async def test_a_job_without_any_worker_says_so_and_starts_when_one_comes(crew: Crew, make: Callable[..., Version]) -> None:
    version = make(2)
    job = await version.submit("refund", "o-1")
    status = await job.status()
    assert (status.state, status.reason) == ("queued", "no worker")

    worker = await worker_of(crew, version)
    assert await job.result(timeout=5) == "refund of o-1"
    assert (await job.status()).reason is None
    await crew.stop(worker)


async def test_a_job_with_a_limit_keeps_no_token_where_it_cannot_run(make_app: MakeApp, crew: Crew) -> None:
    limits = [TokenBucket("pay", rate="1/h", burst=1), Concurrency("slot", 1)]
    old, new = make_app(), make_app()

    @old.task(limits=limits)
    async def charge() -> str:
        return "charged"

    @new.task(limits=limits)
    async def refund() -> str:
        return "refunded"

    await crew.start(old)
    waits = await refund.submit()
    await state_of(old, waits.id, "waiting")

    assert await (await charge.submit()).result(timeout=5) == "charged"
    assert (await waits.status()).reason == "no worker"


@in_both_orders
async def test_a_job_that_the_new_version_submits_runs_under_its_limit_at_the_old_one(
    crew: Crew, make: Callable[..., Version], ran: "Counter[tuple[str, int]]", order: tuple[int, int]
) -> None:
    """A limit that only the new version declares is published by its producer."""
    new = make(2)
    if order == (1, 2):
        await worker_of(crew, make(1))
        await publish(new.app)
    else:
        await publish(new.app)
        await worker_of(crew, make(1))

    jobs = [await new.app.tasks["charge"].submit(f"o-{number}") for number in range(3)]
    await eventually(lambda: ran.total() == 2)
    states = sorted([(await job.status()).state for job in jobs])
    assert states == ["succeeded", "succeeded", "waiting"]
    assert (await jobs[2].status()).bucket == "fraud"


@in_both_orders
async def test_by_name_a_task_takes_what_its_workers_take_whatever_old_producers_do(
    crew: Crew, make: Callable[..., Version], order: tuple[int, int]
) -> None:
    new, old = make(2), make(1)
    if order == (1, 2):
        await publish(old.app)
        await worker_of(crew, new)
    else:
        await worker_of(crew, new)
        await publish(old.app)
    client = make(1).app.client

    job = await client.submit("charge", {"order": "o-1", "note": "by name"})

    assert await job.result(timeout=5) == "o-1 by name"
    jobs = [await client.submit("charge", {"order": f"o-{number}"}) for number in (2, 3)]
    assert (await jobs[1].status()).bucket == "fraud", "the limit counts for calls by name"


@in_both_orders
async def test_with_build_numbers_the_newer_workers_are_published_in_every_order(
    crew: Crew, make: Callable[..., Version], order: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    for number in order:
        await worker_of(crew, make(number, revision=100 + number))
    client = make(1).app.client

    spec = {task.name: task.spec for task in await client.tasks()}["charge"]

    assert spec is not None
    assert (spec.limits, sorted(spec.parameters["properties"])) == (("fraud",), ["note", "order"])
    said = [record.getMessage() for record in caplog.records if "keeps other declarations" in record.getMessage()]
    assert len(said) == (order == (2, 1))
    assert all("task charge (a higher revision declares it)" in line for line in said)


async def test_without_build_numbers_the_worker_that_started_last_is_published_and_doctor_tells(
    crew: Crew, make: Callable[..., Version]
) -> None:
    for number in (2, 1):
        await worker_of(crew, make(number))
    client = make(1).app.client

    with pytest.raises(InvalidArguments):
        await client.submit("charge", {"order": "o-1", "note": "new"})

    (finding,) = [finding for finding in await client.examine() if finding.check == "versions"]
    assert finding.level is Level.warning
    assert finding.text.startswith("workers of 2 versions are at work")
    assert "RUNNER_REVISION" in finding.text


async def test_versions_take_each_others_place_and_no_call_is_lost(
    crew: Crew, make: Callable[..., Version], ran: "Counter[tuple[str, int]]"
) -> None:
    """A rolling deploy and its way back, under load by code of both versions and by name."""
    old, new = make(1), make(2)
    by_name = make(1).app.client
    worker = await worker_of(crew, old)
    jobs = []

    async def submit_some(begin: int) -> None:
        for number in range(begin, begin + 5):
            jobs.append(await old.submit("ping", f"a-{number}"))
            jobs.append(await new.submit("refund", f"b-{number}"))
            jobs.append(await by_name.submit("refund", {"order": f"c-{number}"}))

    await publish(new.app)
    for step, version in enumerate((2, 1, 2)):
        await submit_some(10 * step)
        successor = await worker_of(crew, make(version))
        await submit_some(10 * step + 5)
        await crew.stop(worker)
        worker = successor

    for job in jobs:
        assert await job.result(timeout=20) is not None
    assert set(ran.values()) == {1}
    assert len(ran) == len(jobs) == 90


async def test_what_nobody_serves_is_shown_and_removed_by_hand(crew: Crew, make: Callable[..., Version]) -> None:
    version = make(2)
    client = version.app.client
    worker = await worker_of(crew, version)
    assert {task.name: task.served for task in await client.tasks()} == {"charge": True, "greet": True, "ping": True, "refund": True}
    with pytest.raises(TaskServed, match=r"'refund' .* is served by a live worker"):
        await client.remove_task("refund")
    await crew.stop(worker)

    async def is_unserved() -> bool:
        return not any(task.served for task in await client.tasks())

    await eventually(is_unserved)
    assert all(task.served_until is not None for task in await client.tasks())
    job = await client.submit("refund", {"order": "o-1"})
    assert (await job.status()).reason == "no worker"
    await client.remove_task("refund")

    async with Client(version.app.queue, settings=version.app.settings) as other:
        with pytest.raises(UnknownTask, match="refund"):
            await other.submit("refund", {"order": "o-2"})
    assert [task.name for task in await client.tasks()] == ["charge", "greet", "ping"]
    with pytest.raises(UnknownTask):
        await client.remove_task("refund")

    await worker_of(crew, version)
    assert await job.result(timeout=5) == "refund of o-1"


async def test_explain_status_and_doctor_tell_of_a_job_without_a_worker(crew: Crew, make: Callable[..., Version]) -> None:
    old = make(1)
    client = old.app.client
    job = await make(2).submit("refund", "o-1")
    before = await job.status()
    assert "waits     for a worker that serves task refund; no live worker does" in summary(before)
    sentences = await client.explain(before)
    assert sentences[0].startswith(f"Job {job.id} (refund) is queued; it was submitted")
    assert sentences[1].startswith("It waits for a worker that serves task refund: no live worker does. It starts as soon as one comes")
    assert "python -m runner workers" in sentences[2]

    await worker_of(crew, old)
    await state_of(old.app, job.id, "waiting")
    met = await job.status()
    assert "waits     for a worker that serves task refund; no live worker does" in summary(met)
    assert "Workers that met it are of versions that do not have it." in (await client.explain(met))[1]
    (finding,) = [finding for finding in await client.examine() if finding.check == "tasks"]
    assert finding.level is Level.warning
    assert finding.text.startswith(
        "no live worker serves refund, and 1 of their jobs wait for one: its jobs wait with the reason `no worker`"
    )
    assert {task.name: task.held for task in await client.tasks()} == {"charge": 0, "greet": 0, "ping": 0, "refund": 1}


async def test_doctor_names_entries_that_are_damaged(crew: Crew, make: Callable[..., Version], redis: Redis, queue: str) -> None:
    version = make(2)
    await worker_of(crew, version)
    assert [finding.text for finding in await version.app.client.examine() if finding.check == "tasks"] == [
        "4 tasks, each served by a live worker"
    ]
    await redis.hset(Keys(queue).specs, "refund", "0 worker 1 \n{")
    await redis.hset(Keys(queue).limits, "fraud", "{")

    texts = [finding.text for finding in await version.app.client.examine() if finding.check in {"tasks", "limits"}]

    assert len(texts) == 2
    assert texts[0].startswith("task 'refund' cannot be submitted by name: its entry cannot be read (JSONDecodeError")
    assert texts[1].startswith("the entries of limits fraud cannot be read")


async def test_a_worker_says_once_a_task_that_it_does_not_have_it(
    crew: Crew, make: Callable[..., Version], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    old = make(1)
    await worker_of(crew, old)
    new = make(2)
    jobs = [await new.submit("refund", f"o-{number}") for number in range(5)]
    await asyncio.gather(*(state_of(old.app, job.id, "waiting") for job in jobs))

    said = [record for record in caplog.records if "which this worker does not have" in record.getMessage()]
    assert len(said) == 1
    for job in jobs:
        await job.cancel()
    assert not await store_of(old.app).unhold()
