"""Acts upon many jobs by both clients, and who may begin, see and confirm them over HTTP."""

import pytest

from runner import BulkPhase, Client, CountChanged, HttpClient, JobFilter, JobOptions, Principal, Runner, Scope, TooManyBulks, UnknownBulk
from runner.client import CallersClient
from runner.errors import AlreadyFinished, ConfigurationError
from runner.http_client import HttpBulks
from tests.http.conftest import Service, both_clients
from tests.http.test_keys import made, problem

AnyClient = Client | HttpClient
LATER = JobOptions(delay=60)
LATER_ONES = JobFilter(state="scheduled", task="add")
SOON_S = 20


client = both_clients("operator")


async def some(client: AnyClient, count: int) -> list[str]:
    return [(await client.submit("add", {"left": number}, LATER)).id for number in range(count)]


async def test_many_jobs_are_counted_confirmed_and_cancelled(client: AnyClient) -> None:
    ids = await some(client, 5)

    begun = await client.bulk.begin("cancel", LATER_ONES, reason="too many", id="mine")
    counted = await client.bulk.counted(begun.id, SOON_S)
    assert (counted.id, counted.phase, counted.counted, counted.done, counted.reason) == ("mine", BulkPhase.counted, 5, 0, "too many")
    assert counted.filter == {"state": ["scheduled"], "task": "add"}
    with pytest.raises(CountChanged, match="5 jobs, not 4") as refused:
        await client.bulk.confirm("mine", 4)
    assert refused.value.counted == 5
    with pytest.raises(CountChanged, match="waits to be confirmed"):
        await client.bulk.wait("mine", 0)
    await client.bulk.confirm("mine", 5)
    done = await client.bulk.wait("mine", SOON_S)

    assert (done.phase, done.done, done.skipped, done.why) == (BulkPhase.done, 5, 0, {})
    assert None not in (done.began_at, done.counted_at, done.confirmed_at, done.ended_at)
    assert {status.state for status in await client.statuses(ids) if status is not None} == {"cancelled"}
    assert [one.id for one in await client.bulk.all()] == ["mine"]
    assert (await client.bulk.begin("cancel", LATER_ONES, id="mine")).phase is BulkPhase.done, "the call is a repetition"
    assert (await client.bulk.confirm("mine", 5)).done == 5
    with pytest.raises(AlreadyFinished):
        await client.bulk.confirm("mine", 6)


async def test_what_is_stopped_or_wrong_is_said(client: AnyClient) -> None:
    await some(client, 1)
    await client.bulk.begin("purge", JobFilter(), id="one")
    assert (await client.bulk.stop("one")).phase is BulkPhase.stopped
    assert (await client.bulk.stop("one")).phase is BulkPhase.stopped
    with pytest.raises(AlreadyFinished):
        await client.bulk.confirm("one", 1)
    for call in (client.bulk.status, client.bulk.stop, client.bulk.counted):
        with pytest.raises(UnknownBulk):
            await call("nobody")
    with pytest.raises(ConfigurationError, match="cancel cannot be done to jobs that are failed"):
        await client.bulk.begin("cancel", JobFilter(state="failed"))
    with pytest.raises(ConfigurationError, match="cancle"):
        await client.bulk.begin("cancle", JobFilter())
    with pytest.raises(ConfigurationError, match="a filter is"):
        await client.bulk.begin("cancel", "all")  # type: ignore[arg-type] # what is wrong here
    with pytest.raises(ConfigurationError):
        await client.bulk.confirm("one", -1)
    for number in range(10):
        await client.bulk.begin("cancel", JobFilter(task="nobody"), id=f"many{number}")
    with pytest.raises(TooManyBulks, match="ten"):
        await client.bulk.begin("cancel", JobFilter())


async def test_plain_code_has_the_same_verbs(app: Runner, service: Service) -> None:
    await app.client.submit("add", {"left": 1}, LATER)
    bulk = app.client.blocking.bulk

    async def in_thread() -> int:
        import asyncio  # noqa: PLC0415

        return await asyncio.to_thread(lambda: bulk.wait(bulk.confirm(bulk.begin("cancel", LATER_ONES).id, 1).id).done)

    assert await in_thread() == 1
    assert isinstance(HttpClient(service.url).bulk, HttpBulks)


async def test_a_tenant_acts_upon_its_own_jobs_and_sees_its_own_acts(app: Runner, service: Service) -> None:
    t7, t8 = await made(app, "operator", tenant="t7"), await made(app, "operator", tenant="t8")
    narrow, admin, producer = await made(app, "operator", tasks=["held"]), await made(app), await made(app, "producer")
    for who in (t7, t7, t8, admin):
        assert (await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "delay": 60}, headers=who)).status_code == 202
    counts = {}
    for name, who in {"t7": t7, "t8": t8, "narrow": narrow, "admin": admin}.items():
        body = {"action": "cancel", "filter": {}, "id": name}
        answer = await service.http.post("/v1/bulk", json=body, headers=who)
        assert answer.status_code == 201
        counts[name] = answer.json()["counted"]
    assert counts == {"t7": 2, "t8": 1, "narrow": 0, "admin": 4}
    for who in (t8, narrow):
        for method, path in (("get", ""), ("delete", "")):
            assert problem(await service.http.request(method, f"/v1/bulk/t7{path}", headers=who)) == (404, "not-found")
        assert problem(await service.http.post("/v1/bulk/t7/confirm", json={"expected": 2}, headers=who)) == (404, "not-found")
    assert [one["id"] for one in (await service.http.get("/v1/bulk", headers=t8)).json()["bulks"]] == ["t8"]
    assert len((await service.http.get("/v1/bulk", headers=admin)).json()["bulks"]) == 4
    assert problem(await service.http.get("/v1/bulk", headers=producer)) == (403, "forbidden")
    done = await service.http.post("/v1/bulk/t7/confirm", json={"expected": 2}, headers=t7)
    assert done.json()["done"] == 2
    left = await service.http.get("/v1/jobs", params={"state": "scheduled"}, headers=t8)
    assert len(left.json()["jobs"]) == 1


async def test_what_is_no_bulk_is_refused_with_its_place(service: Service) -> None:
    for body, said in (
        ({"action": "cancle", "filter": {}}, "#/action"),
        ({"action": "cancel"}, "#/filter"),
        ({"action": "cancel", "filter": {"stat": ["queued"]}}, "#/filter/stat"),
        ({"action": "cancel", "filter": {"state": ["runing"]}}, "#/filter/state/0"),
    ):
        answer = await service.http.post("/v1/bulk", json=body)
        assert problem(answer) == (422, "validation")
        assert answer.json()["errors"][0]["pointer"] == said
    answer = await service.http.post("/v1/bulk", json={"action": "delete", "filter": {"state": ["running"]}})
    assert "delete cannot be done to jobs that are running" in answer.json()["detail"]


def test_the_owner_of_a_bulk_is_whose_rights_it_was_begun_with(app: Runner) -> None:
    def owner(**restrictions: object) -> str:
        principal = Principal("x", frozenset(Scope), **restrictions)  # type: ignore[arg-type] # what a key can have
        return CallersClient(app.client, principal)._view.owner

    assert owner() == ""
    assert owner(tenant="t7") == owner(tenant="t7", key_id="other") != owner(tenant="t8")
    assert owner(tasks=["b", "a"]) == owner(tasks=["a", "b"]) != owner(tasks=["a"])
