"""Tenants: a key of one sees and submits its own jobs, and what others have is nowhere to be seen."""

from typing import Any

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from runner import HttpClient, Runner, Worker
from runner.errors import ConfigurationError
from runner.http import create_app, router
from runner.http.authorization import ByKey
from runner.store.keys import Keys
from tests.app_internals import publish
from tests.http.conftest import Service
from tests.http.test_events import Event, events_of
from tests.http.test_keys import bearer, made, problem
from tests.http.uvicorn_server import serving


async def submit(service: Service, headers: dict[str, str], job_id: str, **fields: Any) -> Any:
    body = {"task": "add", "args": {"left": 1}, "id": job_id, **fields}
    return await service.http.post("/v1/jobs", json=body, headers=headers)


async def test_tenants_may_have_jobs_of_the_same_id(app: Runner, service: Service, worker: Worker) -> None:
    seven, eight = await made(app, "operator", tenant="t7"), await made(app, "operator", tenant="t8")
    for left, headers in ((1, seven), (2, eight)):
        accepted = await submit(service, headers, "o-17", args={"left": left, "right": 10})
        assert (accepted.status_code, accepted.json()["id"]) == (202, "o-17")
        assert accepted.headers["location"] == "/v1/jobs/o-17"
    for left, headers in ((1, seven), (2, eight)):
        ended = (await service.http.get("/v1/jobs/o-17", params={"wait": 20, "explain": 1}, headers=headers)).json()
        assert (ended["id"], ended["result"]) == ("o-17", left + 10)
        assert "t7/" not in str(ended)
        assert (await submit(service, headers, "o-17", args={"left": left, "right": 10})).status_code == 200
        conflict = await submit(service, headers, "o-17", args={"left": 99})
        assert problem(conflict) == (409, "id-conflict")
        assert "t7/" not in conflict.text


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("delete", ""), ("post", "/retry"), ("get", "?wait=1"), ("get", "?explain=1")])
async def test_a_job_of_another_tenant_is_as_one_that_never_was(app: Runner, service: Service, method: str, path: str) -> None:
    seven, eight, admin = await made(app, "operator", tenant="t7"), await made(app, "operator", tenant="t8"), await made(app)
    assert (await submit(service, seven, "mine")).status_code == 202
    assert (await submit(service, admin, "plain")).status_code == 202

    answers = {
        name: await service.http.request(method, f"/v1/jobs/{job_id}{path}", headers=headers)
        for name, headers, job_id in [
            ("other tenant", eight, "mine"),
            ("no tenant", admin, "mine"),
            ("of no tenant", eight, "plain"),
            ("random", eight, "nobodys"),
        ]
    }

    for name, answer in answers.items():
        assert problem(answer) == (404, "not-found"), name
    texts = [answer.text.replace("mine", "ID").replace("plain", "ID").replace("nobodys", "ID") for answer in answers.values()]
    assert len(set(texts)) == 1


@pytest.mark.parametrize("job_id", ["t7/mine", "t7%2Fmine", "t7%2fmine", "%2E%2E%2Ft7%2Fmine"])
async def test_no_id_leads_to_another_tenant(app: Runner, service: Service, job_id: str) -> None:
    seven, eight, operator = await made(app, "operator", tenant="t7"), await made(app, "admin", tenant="t8"), await made(app, "operator")
    some = await made(app, "admin", tasks=["add"])
    await submit(service, seven, "mine")

    for headers in (eight, operator, some):
        answer = await service.http.get(f"/v1/jobs/{job_id}", headers=headers)
        assert (answer.status_code, "t7" in answer.json().get("args", {})) in ((404, False), (422, False))
        assert (await service.http.get("/v1/jobs", params={"id": "t7/mine"}, headers=headers)).json()["jobs"] == [None]
        assert problem(await submit(service, headers, "t7/mine")) == (422, "invalid-id")


async def test_an_administrator_sees_and_changes_the_jobs_of_tenants_by_the_tenant_and_the_id(app: Runner, service: Service) -> None:
    seven, admin = await made(app, "operator", tenant="t7"), await made(app)
    secret = admin["authorization"].partition(" ")[2]
    await submit(service, seven, "mine", delay=60)
    await submit(service, admin, "plain", delay=60)

    told = await service.http.get("/v1/jobs/t7%2Fmine", headers=admin)
    assert (told.status_code, told.json()["id"]) == (200, "t7/mine")
    assert (await service.http.get("/v1/jobs", params={"id": "t7/mine"}, headers=admin)).json()["jobs"][0]["id"] == "t7/mine"
    listed = (await service.http.get("/v1/jobs", params={"state": "scheduled"}, headers=admin)).json()["jobs"]
    assert sorted(job["id"] for job in listed) == ["plain", "t7/mine"]
    assert problem(await service.http.get("/v1/jobs/t7%2Fnobodys", headers=admin)) == (404, "not-found")
    assert problem(await service.http.get("/v1/jobs/t7/mine", headers=admin)) == (404, "not-found")
    for wrong in ("t7%2F", "%2Fmine", "a%2Ft7%2Fmine", "t7%2F%2Fmine", "t7%2Ftake:x"):
        refused = await service.http.get(f"/v1/jobs/{wrong}", headers=admin)
        assert problem(refused) == (422, "invalid-id"), wrong
        assert refused.json()["type"] == "/problems/invalid-id"
    async with HttpClient(service.url, key=secret) as client:
        assert (await client.status("t7/mine")).id == "t7/mine"
        assert (await client.cancel("t7/mine")).state == "cancelled"
        assert (await client.retry("t7/mine")).state == "queued"
    line = (await app.client.audit(target="t7/mine"))[0]
    assert (line.action, line.target) == ("cancel", "job t7/mine")
    own = (await service.http.get("/v1/jobs/mine", headers=seven)).json()
    assert (own["id"], own["state"]) == ("mine", "queued")


async def test_a_slash_that_is_escaped_is_no_separator_in_an_app_that_includes_the_routes(app: Runner, service: Service) -> None:
    seven, admin = await made(app, "operator", tenant="t7"), await made(app)
    await submit(service, seven, "events", delay=60)
    host, mounting = FastAPI(), FastAPI()
    host.include_router(router(app, authorize=ByKey(lambda: app.client)), prefix="/queue")
    mounting.mount("/queue", create_app(app))
    for api in (host, mounting):
        async with serving(api) as http:
            told = await http.get("/queue/v1/jobs/t7%2fevents", headers=admin)
            assert (told.status_code, told.json()["id"]) == (200, "t7/events")
            unknown = await http.delete("/queue/v1/jobs/t7%2Fnobodys", headers=admin)
            assert (unknown.status_code, unknown.json()["type"]) == (404, "/queue/problems/not-found")


async def test_a_batch_has_ids_of_its_tenant(app: Runner, service: Service, redis: Redis) -> None:
    seven = await made(app, "producer", tenant="t7")
    batch = {"jobs": [{"task": "add", "args": {"left": 1}, "id": "a"}, {"task": "add", "args": {"left": 1}}]}
    answer = (await service.http.post("/v1/jobs/batch", json=batch, headers=seven)).json()
    again = (await service.http.post("/v1/jobs/batch", json={"jobs": batch["jobs"][:1]}, headers=seven)).json()

    assert answer["jobs"][0]["id"] == "a"
    assert (again["jobs"][0]["id"], again["jobs"][0]["created"], again["jobs"][0]["state"]) == ("a", False, "queued")
    assert all("/" not in job["id"] for job in answer["jobs"])
    for job in answer["jobs"]:
        assert await redis.exists(Keys(app.queue).job(f"t7/{job['id']}"))


async def test_the_service_says_which_tenant_it_is(app: Runner, service: Service, worker: Worker) -> None:
    @app.task
    async def whose(tenant_id: str) -> str:
        return tenant_id

    await publish(app)
    seven = await made(app, "producer", tenant="t7")
    for said in ({}, {"tenant_id": "t7"}):
        accepted = await submit(service, seven, f"w{len(said)}", task="whose", args=said)
        assert accepted.status_code == 202
        status = (await service.http.get(f"/v1/jobs/w{len(said)}", headers=seven)).json()
        assert status["args"] == {"tenant_id": "t7"}
    forged = await submit(service, seven, "w", task="whose", args={"tenant_id": "t8"})
    assert problem(forged) == (422, "validation")
    assert "'t8'" in forged.json()["detail"]


async def test_limits_show_a_tenant_its_own_bucket_only(app: Runner, service: Service, redis: Redis) -> None:
    seven, admin = await made(app, None, scopes=["limits:read", "jobs:submit"], tenant="t7"), await made(app)
    for tenant in ("t7", "t8"):
        await submit(service, admin, f"k-{tenant}", task="keyed", args={"tenant": tenant})
    await service.http.post("/v1/limits/tenant/pause", json={}, headers=admin)
    for number in range(3):
        for tenant in ("t7", "t8"):
            await submit(service, admin, f"w{number}-{tenant}", task="keyed", args={"tenant": tenant})
    for number in range(4):
        await submit(service, admin, f"s{number}", task="scarce")

    shown = {limit["name"]: limit for limit in (await service.http.get("/v1/limits", headers=seven)).json()["limits"]}
    assert [bucket["bucket"] for bucket in shown["tenant"]["buckets"]] == ["tenant/t7"]
    assert (shown["tenant"]["waiting"], shown["tenant"]["waiting_buckets"], shown["tenant"]["buckets_not_shown"]) == (3, 1, 0)
    assert (shown["slow"]["buckets"], shown["slow"]["waiting"]) == ([], 0)
    assert (await service.http.get("/v1/limits/tenant", headers=seven)).json() == shown["tenant"]
    assert problem(await service.http.get("/v1/limits/none", headers=seven)) == (404, "unknown-limit")
    everything = {limit["name"]: limit for limit in (await service.http.get("/v1/limits", headers=admin)).json()["limits"]}
    assert everything["tenant"]["waiting"] == 6


async def test_a_key_of_a_tenant_has_no_right_to_what_all_share(app: Runner, service: Service) -> None:
    admin = await made(app, "admin", tenant="t7")
    assert problem(await service.http.post("/v1/limits/slow/pause", json={}, headers=admin)) == (403, "forbidden")
    assert problem(await service.http.delete("/v1/tasks/add", headers=admin)) == (403, "forbidden")
    with pytest.raises(ConfigurationError, match="limits:write: it concerns all tenants"):
        await made(app, None, scopes=["limits:write"], tenant="t7")


async def test_a_tenant_hears_of_its_own_jobs_only(app: Runner, service: Service, worker: Worker) -> None:
    seven, eight, admin = await made(app, "operator", tenant="t7"), await made(app, "operator", tenant="t8"), await made(app)
    tasked, operator = await made(app, "producer", tasks=["echo"]), await made(app, "operator")
    place = await app.client.latest_event()
    for number, headers in enumerate((eight, seven, admin, seven)):
        assert (await submit(service, headers, f"o-{number}")).status_code == 202
        await service.http.get(f"/v1/jobs/o-{number}", params={"wait": 20}, headers=headers)
    heard = {
        name: [event.data["id"] for event in await first_ends(service, headers, place, count)]
        for name, headers, count in (("seven", seven, 2), ("eight", eight, 1), ("operator", operator, 1), ("admin", admin, 4))
    }
    assert heard == {
        "seven": ["o-1", "o-3"],
        "eight": ["o-0"],
        "operator": ["o-2"],
        "admin": ["t8/o-0", "t7/o-1", "o-2", "t7/o-3"],
    }
    assert (await service.http.get("/v1/jobs/o-1/events", headers=eight)).status_code == 404
    async with service.http.stream("GET", "/v1/events", headers=tasked | {"Last-Event-ID": "0"}) as answer:
        events = events_of(answer)
        assert (await anext(events)).kind == "open"
        accepted = await service.http.post("/v1/jobs", json={"task": "echo", "args": {"value": 1}}, headers=tasked)
        assert (await anext(events)).data["id"] == accepted.json()["id"]


async def first_ends(service: Service, headers: dict[str, str], place: str, count: int) -> list[Event]:
    async with service.http.stream("GET", "/v1/events", headers=headers | {"Last-Event-ID": place}) as answer:
        events = events_of(answer)
        assert (await anext(events)).kind == "open"
        return [await anext(events) for _ in range(count)]


async def test_where_a_tenant_begins_to_listen_tells_nothing_of_others(app: Runner, service: Service, worker: Worker) -> None:
    seven, admin = await made(app, "operator", tenant="t7"), await made(app)
    await submit(service, admin, "plain")
    await service.http.get("/v1/jobs/plain", params={"wait": 20}, headers=admin)
    async with service.http.stream("GET", "/v1/events", headers=seven) as answer:
        opened = await anext(events_of(answer))
        assert opened.id != await app.client.latest_event()
    await submit(service, seven, "own")
    await service.http.get("/v1/jobs/own", params={"wait": 20}, headers=seven)
    (end,) = await first_ends(service, seven, opened.id, 1)
    assert (end.data["id"], end.data["missed"]) == ("own", False)


async def test_a_revoked_key_loses_its_streams(app: Runner, service: Service) -> None:
    admin = await made(app)
    made_key = await app.client.keys.create("listener", preset="producer")
    key = bearer(made_key.secret)
    async with service.http.stream("GET", "/v1/events", headers=key) as answer:
        events = events_of(answer)
        assert (await anext(events)).kind == "open"
        (listener,) = [known for known in await app.client.keys.list() if known.name == "listener"]
        await app.client.keys.revoke(listener.id)
        assert [event async for event in events] == []
    assert (await service.http.get("/v1/tasks", headers=admin)).status_code == 200
