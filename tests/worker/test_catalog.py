"""The catalog as a client knows it: new tasks are known at once, and neither floods nor outages multiply its readings."""

import asyncio
from unittest.mock import AsyncMock

import pytest

from runner import Client, JobOptions, Runner, StoreUnavailable
from runner.client import session_of
from runner.errors import UnknownTask
from runner.store.job_store import JobStore
from tests.app_internals import publish, store_of
from tests.pace import Pace


async def prepare(client: Client, name: str) -> None:
    (await session_of(client).catalog.get(name)).prepare({}, JobOptions())


def note_readings(client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    noting = AsyncMock(side_effect=store_of(client).tasks)
    monkeypatch.setattr(store_of(client), "tasks", noting)
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

    assert readings.call_count <= 4


async def test_all_who_wait_for_a_reading_learn_of_its_failure_together(app: Runner, pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        await asyncio.sleep(0.2)
        raise StoreUnavailable

    monkeypatch.setattr(store_of(app), "tasks", away)
    began_s = pace.now_s

    answers = await asyncio.gather(*(prepare(app.client, "work") for _ in range(50)), return_exceptions=True)

    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert pace.now_s - began_s < 2


async def test_a_caller_that_gives_up_does_not_end_the_reading_for_others(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.task
    async def work() -> None: ...

    await publish(app)
    reading, go_on, read = asyncio.Event(), asyncio.Event(), JobStore.tasks

    async def slow(store: JobStore) -> object:
        reading.set()
        await go_on.wait()
        return await read(store)

    monkeypatch.setattr(JobStore, "tasks", slow)
    impatient, patient = (asyncio.create_task(prepare(app.client, "work")) for _ in range(2))
    await reading.wait()
    impatient.cancel()
    go_on.set()

    await patient
    assert impatient.cancelled()


async def test_a_client_closed_during_a_reading_leaves_nothing(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = asyncio.Event()

    async def endless() -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store_of(app), "tasks", endless)
    asking = asyncio.create_task(prepare(app.client, "work"))
    await reading.wait()
    asking.cancel()

    await app.client.close()
