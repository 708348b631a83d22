"""Pauses by the client of Redis, by that of the HTTP service, and by the routes: what they return, and who may."""

from datetime import UTC, datetime, timedelta

import pytest

from runner import Pausable, Runner, Worker
from runner.errors import ConfigurationError, UnknownLimit, UnknownTask
from tests.http.conftest import Service
from tests.http.test_both_clients import SOON_S, AnyClient, client
from tests.http.test_keys import made, problem

__all__ = ["client"]


async def test_what_is_paused_waits_says_why_and_goes_on(client: AnyClient, worker: Worker) -> None:
    for what, name in (("queue", ""), ("task", "add")):
        paused = await client.pauses.pause(what, name, "the database moves")  # type: ignore[arg-type] # a literal of the parameter's
        assert (paused.what, paused.name, paused.reason, paused.until_at) == (what, name, "the database moves", None)
        assert (await client.pauses.pause(what, name, "the database moves")).since_at == paused.since_at  # type: ignore[arg-type]
        job = await client.submit("add", {"left": 2})
        status = await job.status()
        assert (status.state, status.reason) == ("waiting", "paused")
        assert status.pause is not None
        assert (status.pause.what, status.pause.name, status.pause.reason) == (what, name, "the database moves")
        sentences = await client.explain(status, options=[])
        assert "the database moves" in sentences[1]
        assert sentences[2] == f"Let it go on: python -m runner resume {f'{what} {name}'.strip()}"
        assert await client.pauses.list() == [paused]
        over = await client.pauses.resume(what, name)  # type: ignore[arg-type]
        assert over == paused
        assert await job.result(timeout=SOON_S) == 3
        assert await client.pauses.resume(what, name) is None  # type: ignore[arg-type]
    lines = [(line.action, line.target) for line in await client.audit() if line.action in ("pause", "resume")]
    assert lines == [("pause", "queue"), ("resume", "queue"), ("pause", "task add"), ("resume", "task add")]


async def test_a_pause_ends_by_itself_and_a_running_job_is_not_touched(client: AnyClient, worker: Worker) -> None:
    paused = await client.pauses.pause("queue", duration="500ms")
    assert paused.until_at is not None
    assert await (await client.submit("add", {"left": 2})).result(timeout=SOON_S) == 3
    ended = (await client.job((await client.submit("add", {"left": 1})).id).wait(SOON_S)).started_at
    assert ended is not None
    assert ended >= paused.until_at
    until = datetime.now(UTC) + timedelta(hours=1)
    assert (await client.pauses.pause("task", "add", until=until)).until_at == pytest.approx(until.timestamp(), abs=0.001)


async def test_one_value_of_a_key_is_paused_however_it_is_written(client: AnyClient) -> None:
    paused = await client.pauses.pause("key", "tenant/t 7", "they asked us to")
    assert (paused.what, paused.name) == (Pausable.key, "tenant/t%207")
    assert (await client.pauses.resume("key", "tenant/t 7")) == paused


@pytest.mark.parametrize(
    ("what", "name", "options", "error", "said"),
    [
        ("queue", "x", {}, ConfigurationError, "leave out the name 'x'"),
        ("task", "", {}, ConfigurationError, "needs its name"),
        ("task", "ad", {}, UnknownTask, "did you mean 'add'"),
        ("key", "nobody/x", {}, UnknownLimit, "unknown limit 'nobody'"),
        ("key", "tenant", {}, ConfigurationError, "like tenant/t7"),
        ("key", "slow/x", {}, ConfigurationError, "has no key"),
        ("line", "x", {}, ConfigurationError, "queue, task, pool, key"),
        ("queue", "", {"reason": "a\nb"}, ConfigurationError, "one line"),
        ("queue", "", {"duration": 0}, ConfigurationError, "duration"),
        ("queue", "", {"duration": "soon"}, ConfigurationError, "6m0s"),
        ("queue", "", {"until": datetime(2096, 1, 1)}, ConfigurationError, "time zone"),  # noqa: DTZ001 - that is what is refused
        ("queue", "", {"until": datetime(2006, 1, 1, tzinfo=UTC)}, ConfigurationError, "to come"),
        ("queue", "", {"duration": 3, "until": datetime(2096, 1, 1, tzinfo=UTC)}, ConfigurationError, "one of them"),
    ],
)
async def test_a_pause_that_cannot_be_is_refused_with_the_same_error(
    client: AnyClient, what: str, name: str, options: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await client.pauses.pause(what, name, **options)  # type: ignore[arg-type] # what is wrong is passed on purpose
    assert await client.pauses.list() == []


async def test_a_pause_needs_its_right_and_a_key_for_all_of_what_it_stops(app: Runner, service: Service) -> None:
    producer, tenant = await made(app, "producer"), await made(app, "operator", tenant="t7")
    some, operator = await made(app, "operator", tasks=["ad*"]), await made(app, "operator")
    for headers in (producer, tenant):
        for method, path in (("get", ""), ("post", ""), ("delete", "/queue"), ("delete", "/task/add")):
            body = {"what": "queue"} if method == "post" else None
            answer = await service.http.request(method, f"/v1/pauses{path}", headers=headers, json=body)
            assert problem(answer) == (403, "forbidden"), (method, path)

    for body in ({"what": "queue"}, {"what": "task", "name": "echo"}, {"what": "key", "name": "tenant/a"}):
        assert problem(await service.http.post("/v1/pauses", headers=some, json=body)) == (403, "forbidden")
    assert (await service.http.post("/v1/pauses", headers=some, json={"what": "task", "name": "add"})).status_code == 200

    answer = await service.http.post("/v1/pauses", headers=operator, json={"what": "key", "name": "tenant/a/b", "duration": 60})
    assert answer.status_code == 200
    assert {"what": "key", "name": "tenant/a%2Fb"}.items() <= answer.json().items()
    assert (await service.http.get("/v1/pauses", headers=operator)).json()["pauses"][0]["by"].startswith("key ")
    gone = await service.http.delete("/v1/pauses/key/tenant/a%2Fb", headers=operator)
    assert gone.json()["resumed"]["name"] == "tenant/a%2Fb"
    assert (await service.http.delete("/v1/pauses/key/tenant/a%2Fb", headers=operator)).json() == {"resumed": None}
    assert (await service.http.delete("/v1/pauses/task/add", headers=some)).json()["resumed"]["what"] == "task"


async def test_a_tenant_sees_that_its_job_is_paused_and_not_who_did_it(app: Runner, service: Service) -> None:
    tenant = await made(app, "producer", tenant="t7")
    await app.client.pauses.pause("queue", reason="maintenance")
    accepted = await service.http.post("/v1/jobs", headers=tenant, json={"task": "add", "args": {"left": 1}})
    answer = (await service.http.get(accepted.headers["location"], headers=tenant)).json()
    assert (answer["state"], answer["reason"], answer["pause"]["reason"], answer["pause"]["by"]) == ("waiting", "paused", "maintenance", "")
    await app.client.pauses.resume("queue")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"what": "line"},
        {"what": "queue", "until": "2096-01-01T00:00:00"},
        {"what": "queue", "duration": -1},
        {"what": "queue", "more": 1},
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(service: Service, body: dict[str, object]) -> None:
    assert problem(await service.http.post("/v1/pauses", json=body))[0] == 422
