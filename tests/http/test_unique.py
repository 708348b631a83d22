"""Unique jobs over HTTP and by both clients: the job that is there, a refusal that names it, and marks that each tenant has of its own."""

from typing import Any

import pytest

from runner import Acceptance, Client, Debounce, JobOptions, JobRequest, Runner, Unique, Worker
from runner.errors import DuplicateJob, IncompleteCatalog, InvalidOption
from runner.http_client.problems import ERRORS
from tests.app_internals import publish, store_of
from tests.http.conftest import Service, both_clients
from tests.http.test_keys import made, problem

LATER = {"task": "add", "args": {"left": 1}, "delay": 60}


client = both_clients()


async def submit(service: Service, unique: object, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    return await service.http.post("/v1/jobs", json={**LATER, "unique": unique, **fields}, headers=headers)


async def test_a_second_request_is_answered_with_the_job_that_is_there(app: Runner, service: Service) -> None:
    await publish(app)
    first = await submit(service, {"key": "{left}"})
    again = await submit(service, {"key": "{left}"})
    other = await submit(service, {"key": "{left}"}, args={"left": 2})
    alone = await submit(service, False)

    assert (first.status_code, first.json()["created"]) == (202, True)
    assert (again.status_code, again.json()["created"], again.json()["id"]) == (200, False, first.json()["id"])
    assert again.headers["location"] == first.headers["location"]
    assert len({answer.json()["id"] for answer in (first, other, alone)}) == 3


async def test_a_refusal_names_the_job_that_is_there(app: Runner, service: Service) -> None:
    await publish(app)
    first = (await submit(service, True)).json()["id"]

    refused = await submit(service, {"duplicate": "refuse"})
    batch = await service.http.post("/v1/jobs/batch", json={"jobs": [{**LATER, "unique": {"duplicate": "refuse"}}, LATER]})

    assert problem(refused) == (409, "duplicate-job")
    assert refused.json()["job"] == first
    assert batch.status_code == 207
    (bad, good) = batch.json()["jobs"]
    assert (bad["problem"]["type"], bad["problem"]["job"]) == ("/problems/duplicate-job", first)
    assert good["created"]


async def test_a_waiting_job_gets_the_newest_arguments(app: Runner, service: Service) -> None:
    await publish(app)
    unique = {"key": "{left}", "delay": 60}
    first = await submit(service, unique, args={"left": 1, "right": 1}, delay=None)
    again = await submit(service, unique, args={"left": 1, "right": 2}, delay=None)

    assert (again.status_code, again.json()["created"], again.json()["replaced"]) == (200, False, True)
    assert again.json()["id"] == first.json()["id"]
    assert (await app.client.status(first.json()["id"])).args == {"left": 1, "right": 2}


async def test_a_key_of_the_request_and_a_mark_go_together(app: Runner, service: Service) -> None:
    await publish(app)
    first = (await submit(service, True)).json()["id"]
    keyed = await service.http.post("/v1/jobs", json={**LATER, "unique": True}, headers={"Idempotency-Key": '"k1"'})

    assert (keyed.status_code, keyed.json()["id"], keyed.json()["created"]) == (200, first, False)
    assert "idempotent-replayed" not in keyed.headers


@pytest.mark.parametrize("unique", ["{left}", 1, {"key": 7}, {"untill": 3}, {"until": "never"}, {"until": -1}, {"delay": -1}])
async def test_what_is_none_is_refused_with_its_place(app: Runner, service: Service, unique: object) -> None:
    await publish(app)
    refused = await submit(service, unique)

    assert problem(refused) == (422, "validation")
    assert refused.json()["errors"][0]["pointer"].startswith("#/unique")


@pytest.mark.parametrize("unique", [{"duplicate": "replace"}, {"delay": 5}, {"max_delay": 5}, {"key": "left"}])
async def test_what_does_not_go_together_is_refused(app: Runner, service: Service, unique: object) -> None:
    await publish(app)

    assert problem(await submit(service, unique)) == (422, "validation")


async def test_tenants_have_marks_of_their_own(app: Runner, service: Service) -> None:
    await publish(app)
    ids = {}
    for name in ("t7", "t8", None):
        headers = await made(app, "operator", tenant=name) if name else await made(app)
        first, second = await submit(service, True, headers), await submit(service, True, headers)
        assert (first.status_code, second.status_code) == (202, 200)
        assert second.json()["id"] == first.json()["id"]
        assert problem(await submit(service, {"duplicate": "refuse"}, headers)) == (409, "duplicate-job")
        ids[name] = first.json()["id"]

    assert len(set(ids.values())) == 3
    assert not any("/" in job_id for job_id in ids.values())


async def test_both_clients_are_told_the_same(client: Any, app: Runner) -> None:
    await publish(app)
    asked = JobOptions(delay=60, unique=Unique("{left}"))
    first = await client.submit("add", {"left": 1}, asked)
    assert first.first_state is Acceptance.scheduled
    again = await client.submit("add", {"left": 1}, asked)
    assert (again.id, again.first_state) == (first.id, Acceptance.existing)

    refusing = JobOptions(unique=Unique("{left}", duplicate="refuse"))
    with pytest.raises(DuplicateJob, match=f"job '{first.id}' is there") as refused:
        await client.submit("add", {"left": 1}, refusing)
    assert refused.value.job_id == first.id
    requests = [JobRequest("add", {"left": 2}, asked), JobRequest("add", {"left": 1}, refusing)]
    with pytest.raises(DuplicateJob) as refused:
        await client.submit_many(requests)
    assert (refused.value.index, refused.value.job_id) == (1, first.id)
    handles = await client.submit_many(requests, return_conflicts=True)
    assert [handle.first_state for handle in handles] == [Acceptance.existing, Acceptance.duplicate]
    assert handles[1].id == first.id

    debounced = JobOptions(unique=Debounce("{value}", delay=30))
    held = await client.submit("echo", {"value": 1}, debounced)
    assert (await client.submit("echo", {"value": 1}, debounced)).first_state is Acceptance.replaced
    await client.cancel(held.id)
    with pytest.raises(InvalidOption):
        await client.submit("add", {"left": 1}, JobOptions(unique="left"))


async def test_a_retry_by_hand_is_refused_while_another_has_the_mark(client: Any, app: Runner) -> None:
    await publish(app)
    asked = JobOptions(delay=60, unique=True)
    first = await client.submit("add", {"left": 1}, asked)
    await first.cancel()
    second = await client.submit("add", {"left": 1}, asked)
    assert second.id != first.id

    with pytest.raises(DuplicateJob) as refused:
        await first.retry()
    assert refused.value.job_id == second.id
    await second.cancel()
    assert (await first.retry()).state in ("queued", "waiting")


async def test_a_declared_task_is_unique_by_code_and_by_name(app: Runner, worker: Worker) -> None:
    @app.task(unique="{order}")
    async def charge(order: str) -> str:
        return order

    first = await charge.with_options(delay=60).submit("o-17")
    assert (await charge.submit("o-17")).id == first.id
    assert (await app.client.submit("charge", {"order": "o-17"})).id == first.id
    handles = await app.submit_many([charge.prepare("o-17"), charge.prepare("o-18"), charge.prepare("o-18")])
    assert [handle.id == first.id for handle in handles] == [True, False, False]
    assert handles[1].id == handles[2].id
    assert len([done async for done in app.map(charge, ["o-18", "o-18", "o-19"])]) == 3


async def test_a_task_of_a_later_format_is_refused_with_the_reason(app: Runner) -> None:
    store = store_of(app)
    await publish(app)
    entry = (await store.redis.execute_command("HGET", store.keys.specs, "add")).decode()
    line, _, body = entry.partition("\n")
    await store.redis.execute_command("HSET", store.keys.specs, "add", f"{line.rstrip()} format:99".replace("  ", " ") + "\n" + body)
    async with Client(app.queue, settings=app.settings) as later:
        with pytest.raises(IncompleteCatalog, match="is submitted by code of format 99 and newer, and this has format"):
            await later.submit("add", {"left": 1})


def test_the_problem_has_its_error() -> None:
    assert ERRORS["duplicate-job"] is DuplicateJob
