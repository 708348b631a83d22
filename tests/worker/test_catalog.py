"""The catalog as a client knows it: what it reads and when, and that one bad entry concerns one task only."""

import asyncio
import json
from unittest.mock import AsyncMock

import pytest
from redis.asyncio import Redis

from runner import Client, JobOptions, Runner, StoreUnavailable
from runner.client import session_of
from runner.client.catalog import PublishedTask
from runner.errors import IncompleteCatalog, UnknownTask
from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from runner.store.keys import Keys
from tests.app_internals import publish, store_of
from tests.pace import Pace
from tests.worker.conftest import MakeApp


async def prepare(client: Client, name: str) -> None:
    (await session_of(client).catalog.get(name)).prepare({}, JobOptions())


def note_readings(client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    noting = AsyncMock(side_effect=store_of(client).known)
    monkeypatch.setattr(store_of(client), "known", noting)
    return noting


async def test_a_task_published_just_after_a_look_at_the_catalog_is_known(app: Runner) -> None:
    client = app.client
    with pytest.raises(UnknownTask, match="none; start a worker first"):
        await prepare(client, "late")

    @app.task
    async def late() -> None: ...

    await publish(app)

    await prepare(client, "late")


async def test_a_flood_of_unknown_names_costs_few_readings(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = note_readings(app.client, monkeypatch)

    for _ in range(3):
        answers = await asyncio.gather(*(prepare(app.client, f"no-{number}") for number in range(200)), return_exceptions=True)
        assert all(isinstance(answer, UnknownTask) for answer in answers)

    assert readings.call_count <= 3 * 3, "the first name by itself, and all others by a hundred"


async def test_all_who_wait_for_a_reading_learn_of_its_failure_together(app: Runner, pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        await asyncio.sleep(0.2)
        raise StoreUnavailable

    monkeypatch.setattr(store_of(app), "known", away)
    began_s = pace.now_s

    answers = await asyncio.gather(*(prepare(app.client, "work") for _ in range(50)), return_exceptions=True)

    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert pace.now_s - began_s < 2


async def test_a_caller_that_gives_up_does_not_end_the_reading_for_others(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.task
    async def work() -> None: ...

    await publish(app)
    reading, go_on, read = asyncio.Event(), asyncio.Event(), JobStore.known

    async def slow(store: JobStore, version: str, names: list[str]) -> object:
        reading.set()
        await go_on.wait()
        return await read(store, version, names)

    monkeypatch.setattr(JobStore, "known", slow)
    impatient, patient = (asyncio.create_task(prepare(app.client, "work")) for _ in range(2))
    await reading.wait()
    impatient.cancel()
    go_on.set()

    await patient
    assert impatient.cancelled()


async def test_a_client_closed_during_a_reading_leaves_nothing(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = asyncio.Event()

    async def endless(*_: object) -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store_of(app), "known", endless)
    asking = asyncio.create_task(prepare(app.client, "work"))
    await reading.wait()
    asking.cancel()

    await app.client.close()


def declare(app: Runner, count: int) -> None:
    for number in range(count):

        @app.task(name=f"task-{number}", limits=[TokenBucket(f"limit-{number % 7}", rate="1000/s")])
        async def work(tenant: str = "t") -> None: ...


def note_builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks whose check of arguments was made."""
    names, make = [], PublishedTask.__init__

    def noting(task: PublishedTask, spec: object, policies: object) -> None:
        names.append(spec.name)  # type: ignore[attr-defined]
        make(task, spec, policies)  # type: ignore[arg-type]

    monkeypatch.setattr(PublishedTask, "__init__", noting)
    return names


async def test_of_three_hundred_tasks_a_producer_makes_those_it_submits_and_each_once(
    app: Runner, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(app, 300)
    await publish(app)
    built = note_builds(monkeypatch)
    client = app.client

    await asyncio.gather(*(prepare(client, f"task-{number}") for number in (7, 250, 7, 7)))
    assert sorted(built) == ["task-250", "task-7"]

    newer = make_app()
    declare(newer, 300)

    @newer.task
    async def added() -> None: ...

    await publish(newer)
    session_of(client).catalog._read_s = float("-inf")
    await prepare(client, "task-7")
    await prepare(client, "added")

    assert sorted(built) == ["added", "task-250", "task-7"]


async def test_an_unchanged_catalog_is_not_read_again(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(app, 3)
    await publish(app)
    await prepare(app.client, "task-1")
    readings = note_readings(app.client, monkeypatch)
    session_of(app.client).catalog._read_s = float("-inf")

    await prepare(app.client, "task-1")

    (version, names), _ = readings.call_args
    assert (version != "", names) == (True, ["task-1"])
    assert (await store_of(app).known(version, names)).tasks is None


@pytest.mark.parametrize("entry", [b"", b"no line", b"0 worker 1 \n{", b"0 worker 1 \n[]", b'0 worker 1 \n{"name":"task-1"}'])
async def test_one_entry_that_cannot_be_read_concerns_its_own_task_only(app: Runner, redis: Redis, queue: str, entry: bytes) -> None:
    declare(app, 3)
    await publish(app)
    await redis.hset(Keys(queue).specs, "task-1", entry)

    with pytest.raises(IncompleteCatalog, match=r"task 'task-1' on queue .* cannot be read"):
        await prepare(app.client, "task-1")
    await prepare(app.client, "task-2")
    listed = {task.name: task for task in await app.client.tasks()}
    assert [name for name, task in listed.items() if task.fault] == ["task-1"]

    await redis.hdel(Keys(queue).catalog, "version")
    await store_of(app).publish({name: task.definition.spec.to_json() for name, task in app.tasks.items()}, [])
    await prepare(app.client, "task-1")


async def test_a_spec_that_nothing_can_be_made_of_concerns_its_own_task_only(app: Runner, redis: Redis, queue: str) -> None:
    declare(app, 2)
    await publish(app)
    spec = {"name": "odd", "parameters": {}, "limits": 7}
    await redis.hset(Keys(queue).specs, "odd", b"0 worker 1 \n" + json.dumps(spec).encode())

    answers = await asyncio.gather(*(prepare(app.client, name) for name in ("odd", "task-0", "odd")), return_exceptions=True)

    assert [type(answer) for answer in answers] == [IncompleteCatalog, type(None), IncompleteCatalog]
    assert answers[0] is not answers[2]


async def test_a_limit_that_the_catalog_lacks_refuses_the_job_and_is_never_skipped(
    app: Runner, redis: Redis, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(app, 8)
    await publish(app)
    await redis.hdel(Keys(queue).limits, "limit-1")
    readings = note_readings(app.client, monkeypatch)

    with pytest.raises(IncompleteCatalog, match=r"task 'task-1' on queue .* uses limit 'limit-1', which is not in the catalog"):
        await app.client.submit("task-1", {})
    assert readings.call_count == 2
    await prepare(app.client, "task-2")

    await app._publication.publish(store_of(app))
    await prepare(app.client, "task-1")


async def test_a_limit_whose_entry_is_damaged_refuses_its_tasks_and_is_made_anew(app: Runner, redis: Redis, queue: str) -> None:
    declare(app, 3)
    await publish(app)
    await redis.hset(Keys(queue).limits, "limit-1", "{")

    with pytest.raises(IncompleteCatalog):
        await app.client.submit("task-1", {})
    await app.client.submit("task-2", {})

    await app._publication.publish(store_of(app))
    await app.client.submit("task-1", {})
