"""Keys over HTTP: who is let in, what each right permits, how refusals are told, and what holds while Redis is away."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from runner import Principal, Runner, Scope, Worker, current_job
from runner.access import Secret, new_key_id, new_secret
from runner.client import keyring
from runner.errors import Forbidden
from runner.http import create_app, refusals, router
from runner.http.authorization import FREE, is_on_this_machine
from runner.http.routes import GROUPS
from runner.http.routing import ProblemRoute, group
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.http.conftest import Service, serving, working
from tests.http.test_openapi import ROUTES, operations
from tests.proxy import Proxy

MADE_UP = Secret("abcdefgh", bytes(32)).text
"""It has the form of a secret, and nobody made it."""


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def made(app: Runner, preset: str | None = "admin", **options: Any) -> dict[str, str]:
    """The header of a new key."""
    return bearer((await app.client.keys.create("tester", preset=preset, **options)).secret)


_numbers = count()


def elsewhere() -> dict[str, str]:
    """The header of a request from an address of its own, behind a proxy that is trusted."""
    number = next(_numbers)
    return {"x-forwarded-for": f"203.0.{number // 250}.{number % 250}"}


@pytest.fixture
async def behind_proxy(app: Runner) -> AsyncIterator[Service]:
    async with serving(app.settings.model_copy(update={"trusted_proxies": "127.0.0.1"}), app.queue) as service:
        yield service


async def request(service: Service, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    body: dict[str, Any] | None = {} if method in ("post", "put") else None
    async with service.http.stream(
        method, path.format(id="x", name="slow", limit="slow", key="t7"), headers={**elsewhere(), **headers}, json=body
    ) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):  # that would never end
            await answer.aread()
        return answer


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_every_route_needs_a_right_but_the_free_ones() -> None:
    described = {path: operation for _, path, operation in operations(create_app().openapi())}

    assert {path for path, operation in described.items() if "security" not in operation} == {path for path in FREE if path[:3] != "/ui"}
    for group_of_routes in GROUPS:
        for route in group_of_routes.routes:
            assert isinstance(route, ProblemRoute)
            assert (route.right is None) == (route.path in FREE), route.path


def test_a_route_without_a_right_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="route /v1/secrets names no right"):

        @group("secrets", "/v1").get("/secrets")
        async def secrets() -> str:
            return "all of them"


def test_the_rights_of_a_route_are_described() -> None:
    described = create_app().openapi()
    scheme = described["components"]["securitySchemes"]["key"]

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert described["paths"]["/v1/limits/{name}/pause"]["post"]["security"] == [{"key": ["limits:write"]}]
    named = {right for _, _, operation in operations(described) for one in operation.get("security", []) for right in one["key"]}
    assert named == set(Scope) - {"jobs:debug"}


async def test_without_keys_this_machine_may_do_everything(service: Service, worker: Worker) -> None:
    assert (await service.http.post("/v1/limits/slow/pause", json={"reason": "repair"})).status_code == 200
    assert (await service.http.get("/v1/tasks", headers=bearer("anything"))).status_code == 200


async def test_once_there_is_a_key_everybody_needs_one(app: Runner, behind_proxy: Service) -> None:
    service = behind_proxy
    assert (await service.http.get("/v1/tasks")).status_code == 200
    admin = await made(app)
    await eventually_closed(service.http)
    for method, path in ROUTES:
        if path in FREE:
            continue
        answer = await request(service, method, path, {})
        assert problem(answer) == (401, "unauthenticated"), path
        assert answer.headers["www-authenticate"] == 'Bearer realm="runner"'
        assert problem(await request(service, method, path, bearer(MADE_UP))) == (401, "unauthenticated"), path
        assert (await request(service, method, path, admin)).status_code not in (401, 403), path
    for path in ("/healthz", "/readyz", "/problems/unauthenticated", "/openapi.json"):
        assert (await service.http.get(path)).status_code == 200


async def eventually_closed(http: httpx.AsyncClient, url: str = "/v1/tasks") -> None:
    """Until the service has noticed its first key."""

    async def closed() -> bool:
        return (await http.get(url)).status_code == 401

    await eventually(closed)


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Basic dXNlcjpwYXNz")],
        [("authorization", "Bearer")],
        [("authorization", f"Bearer {MADE_UP[:-1]}")],
        [("authorization", f"Bearer {MADE_UP}")],
        [("authorization", f"Bearer {'x' * 200}")],
        [("authorization", "Bearer ä".encode())],
        [("x-api-key", MADE_UP)],
    ],
)
async def test_what_is_no_key_is_refused_and_not_repeated(app: Runner, service: Service, headers: list[tuple[str, Any]]) -> None:
    await made(app)
    answer = await service.http.get("/v1/tasks", headers=headers)

    assert problem(answer) == (401, "unauthenticated")
    assert MADE_UP[:-1] not in answer.text
    if headers[0][0] == "authorization":
        assert answer.headers["www-authenticate"] == 'Bearer realm="runner", error="invalid_token"'


async def test_two_keys_in_one_request_are_none(app: Runner, service: Service) -> None:
    ((name, value),) = (await made(app)).items()

    assert problem(await service.http.get("/v1/tasks", headers=[(name, value), (name, value)])) == (401, "unauthenticated")


async def test_the_scheme_is_read_in_any_case(app: Runner, service: Service) -> None:
    value = (await made(app))["authorization"]

    assert (await service.http.get("/v1/tasks", headers={"authorization": value.replace("Bearer", "bEARER")})).status_code == 200


async def test_a_header_of_its_own_may_hold_the_key(app: Runner) -> None:
    secret = (await app.client.keys.create("x", preset="admin")).secret
    async with serving(app.settings.model_copy(update={"api_key_header": "X-Queue-Key"}), app.queue) as service:
        assert (await service.http.get("/v1/tasks", headers={"x-queue-key": secret})).status_code == 200
        assert (await service.http.get("/v1/tasks", headers=bearer(secret))).status_code == 200
        both = {"x-queue-key": secret, **bearer(secret)}
        assert problem(await service.http.get("/v1/tasks", headers=both)) == (401, "unauthenticated")


@pytest.mark.parametrize("right", sorted(Scope))
async def test_a_right_opens_its_own_routes_and_no_other(app: Runner, service: Service, right: Scope) -> None:
    key = await made(app, None, scopes=[right])
    for method, path, operation in operations(create_app().openapi()):
        if path in FREE:
            continue
        (needed,) = operation["security"][0]["key"]
        answer = await request(service, method, path, key)
        if needed == right:
            assert answer.status_code not in (401, 403), path
        else:
            assert problem(answer) == (403, "forbidden"), path
            assert answer.headers["www-authenticate"] == f'Bearer realm="runner", error="insufficient_scope", scope="{needed}"'


async def test_a_revoked_key_is_refused_at_once(app: Runner, service: Service, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "FRESH_S", 600.0)  # only its announcement ends what is known of it
    monkeypatch.setattr(keyring, "HELD_S", 600.0)
    new = await app.client.keys.create("x", preset="admin")
    assert (await service.http.get("/v1/tasks", headers=bearer(new.secret))).status_code == 200

    async def listens() -> bool:
        return bool(dict(await redis.pubsub_numsub(Keys(app.queue).keys_changed))[Keys(app.queue).keys_changed.encode()])

    await eventually(listens)
    assert (await service.http.get("/v1/tasks", headers=bearer(new.secret))).status_code == 200
    await app.client.keys.revoke(new.key.id)

    async def refused() -> bool:
        return (await service.http.get("/v1/tasks", headers=bearer(new.secret))).status_code == 401

    await eventually(refused)
    assert problem(await service.http.get("/v1/tasks")) == (401, "unauthenticated"), "the last key is gone, and the door stays closed"


async def test_a_rotated_key_is_followed(app: Runner, service: Service) -> None:
    new = await app.client.keys.create("x", preset="admin")
    assert (await service.http.get("/v1/tasks", headers=bearer(new.secret))).status_code == 200
    other = await app.client.keys.rotate(new.key.id)

    async def followed() -> bool:
        answers = [(await service.http.get("/v1/tasks", headers=bearer(secret))).status_code for secret in (new.secret, other.secret)]
        return answers == [401, 200]

    await eventually(followed)


async def test_a_key_that_expires_is_refused_from_then_on(app: Runner, service: Service) -> None:
    key = await made(app, expires=1)
    assert (await service.http.get("/v1/tasks", headers=key)).status_code == 200

    async def refused() -> bool:
        return (await service.http.get("/v1/tasks", headers=key)).status_code == 401

    await eventually(refused)


async def test_requests_of_a_known_key_ask_redis_for_it_once(app: Runner, service: Service, redis: Redis) -> None:
    key = await made(app)
    await service.http.get("/healthz", headers=key)
    await service.http.get("/v1/jobs/none", headers=key)
    before = await scripts_called(redis)
    for _ in range(20):
        assert (await service.http.get("/v1/jobs/none", headers=key)).status_code == 404

    assert await scripts_called(redis) - before < 30, "one for each status, and few more"


async def scripts_called(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def test_while_redis_is_away_a_known_key_is_held_and_an_unknown_one_is_not_let_in(
    app: Runner, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "FRESH_S", 0.0)  # every answer is too old at once
    known, unknown = await made(app), await made(app)
    async with Proxy(redis_url) as proxy:
        settings = app.settings.model_copy(update={"redis_url": proxy.url, "command_timeout_s": 0.3})
        async with serving(settings, app.queue) as service:
            assert (await service.http.post("/v1/jobs", json={"task": "nothing"}, headers=known)).status_code == 422
            proxy.refuse_connections()
            proxy.cut_connections()
            # The body is looked at, so the key was accepted.
            bad = await service.http.post("/v1/jobs", content=b"{", headers={"content-type": "application/json", **known})
            assert problem(bad) == (400, "invalid-json")
            for headers in (unknown, bearer(MADE_UP)):
                answer = await service.http.post("/v1/jobs", json={"task": "add"}, headers=headers)
                assert problem(answer) == (503, "store-unavailable")
                assert answer.headers["retry-after"]


async def test_who_changes_a_limit_is_named_with_the_reason_and_in_the_audit(app: Runner, service: Service) -> None:
    new = await app.client.keys.create("ops", preset="admin")
    headers = {**bearer(new.secret), "x-request-id": "r-17"}
    paused = await service.http.post("/v1/limits/slow/pause", json={"reason": "key root: forged"}, headers=headers)
    assert paused.json()["paused"]["reason"] == f"key {new.key.id} ops: key root: forged"
    job = (await service.http.post("/v1/jobs", json={"task": "held"}, headers=headers)).json()["id"]
    await service.http.delete(f"/v1/jobs/{job}", headers={**headers, "x-request-id": "r 17"})

    lines = [line for line in await app.client.audit() if line.action != "key created"]
    assert [(line.by, line.address, line.request, line.action, line.target) for line in lines] == [
        (f"key {new.key.id} ops", "127.0.0.1", "r-17", "pause", "limit slow"),
        (f"key {new.key.id} ops", "127.0.0.1", "", "cancel", f"job {job}"),
    ]
    too_long = await service.http.post("/v1/limits/slow/pause", json={"reason": "x" * 500}, headers=headers)
    assert problem(too_long) == (422, "validation")


async def test_an_observer_sees_no_arguments_and_results(app: Runner, service: Service, worker: Worker) -> None:
    admin, observer, reader = await made(app), await made(app, "observer"), await made(app, "observer", shows_args=True)
    job = (await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 4}}, headers=admin)).json()["id"]
    assert (await service.http.get(f"/v1/jobs/{job}", params={"wait": 20}, headers=admin)).json()["result"] == 5

    seen = (await service.http.get(f"/v1/jobs/{job}", headers=observer)).json()
    assert (seen["state"], seen["args"], seen["result"]) == ("succeeded", None, None)
    assert (await service.http.get(f"/v1/jobs/{job}", headers=reader)).json()["args"] == {"left": 4}


async def test_an_observer_sees_how_far_a_job_is_and_not_what_it_says(app: Runner, service: Service) -> None:
    @app.task
    async def said(name: str) -> None:
        current_job().progress(1, 2, f"met {name}")

    async with working(app):
        admin, observer = await made(app), await made(app, "observer")
        job = (await service.http.post("/v1/jobs", json={"task": "said", "args": {"name": "ann"}}, headers=admin)).json()["id"]
        whole = (await service.http.get(f"/v1/jobs/{job}", params={"wait": 20}, headers=admin)).json()["progress"]
        part = (await service.http.get(f"/v1/jobs/{job}", headers=observer)).json()["progress"]

    assert (whole["done"], whole["total"], whole["note"]) == (1, 2, "met ann")
    assert part == whole | {"note": ""}


async def test_a_large_result_says_nothing_of_itself_to_an_observer(app: Runner, worker: Worker) -> None:
    admin, observer = await made(app), await made(app, "observer")
    async with serving(app.settings.model_copy(update={"http_max_result_bytes": 1_000}), app.queue) as service:
        body = {"task": "echo", "args": {"value": "x" * 2_000}}
        path = f"/v1/jobs/{(await service.http.post('/v1/jobs', json=body, headers=admin)).json()['id']}"
        assert problem(await service.http.get(path, params={"wait": 20}, headers=admin)) == (413, "result-too-large")

        seen = await service.http.get(path, headers=observer)
        raw = await service.http.get(path, params={"result": "raw"}, headers=observer)

    assert (seen.status_code, seen.json()["state"], seen.json()["result"]) == (200, "succeeded", None)
    assert problem(raw) == (403, "forbidden")


async def test_a_traceback_is_for_who_may_debug(app: Runner, service: Service, worker: Worker) -> None:
    admin, producer = await made(app), await made(app, "producer")
    job = (await service.http.post("/v1/jobs", json={"task": "broken", "args": {"text": "no"}}, headers=admin)).json()["id"]
    error = (await service.http.get(f"/v1/jobs/{job}", params={"wait": 20}, headers=admin)).json()["error"]
    assert "raise ValueError" in error["traceback"]

    assert (await service.http.get(f"/v1/jobs/{job}", headers=producer)).json()["error"] == {"type": "ValueError", "message": "no"}


async def test_what_failed_attempts_said_is_for_who_may_debug(app: Runner, service: Service, worker: Worker) -> None:
    admin, producer = await made(app), await made(app, "producer")
    job = (await service.http.post("/v1/jobs", json={"task": "broken", "args": {"text": "no"}}, headers=admin)).json()["id"]

    (whole,) = (await service.http.get(f"/v1/jobs/{job}", params={"wait": 20}, headers=admin)).json()["attempts"]
    (part,) = (await service.http.get(f"/v1/jobs/{job}", headers=producer)).json()["attempts"]

    assert (whole["attempt"], whole["type"], whole["message"]) == (1, "ValueError", "no")
    assert datetime.fromisoformat(whole["started_at"]) <= datetime.now(UTC)
    assert part == whole | {"message": ""}


async def test_a_key_for_some_tasks_sees_and_submits_those_alone(app: Runner, service: Service, redis: Redis) -> None:
    admin, limited = await made(app), await made(app, "operator", tasks=["ad*"])
    jobs = {task: (await service.http.post("/v1/jobs", json={"task": task}, headers=admin)).json()["id"] for task in ("held", "scarce")}
    assert (await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}}, headers=limited)).status_code == 202
    answer = await service.http.post("/v1/jobs", json={"task": "held"}, headers=limited)
    assert problem(answer) == (403, "forbidden")
    assert "may submit ad* only, not 'held'" in answer.json()["detail"]
    batch = {"jobs": [{"task": "add", "args": {"left": 1}}, {"task": "held"}]}
    assert problem(await service.http.post("/v1/jobs/batch", json=batch, headers=limited)) == (403, "forbidden")
    assert [task["name"] for task in (await service.http.get("/v1/tasks", headers=limited)).json()["tasks"]] == ["add"]
    for path, method in [("", "get"), ("", "delete"), ("/retry", "post"), ("/record", "delete")]:
        theirs = await service.http.request(method, f"/v1/jobs/{jobs['held']}{path}", headers=limited)
        nobodys = await service.http.request(method, f"/v1/jobs/none{path}", headers=limited)
        assert problem(theirs) == problem(nobodys) == (404, "not-found")
        assert theirs.json()["detail"].replace(jobs["held"], "none") == nobodys.json()["detail"]
        assert await redis.hget(Keys(app.queue).job(jobs["held"]), "state") == b"queued", "nothing was cancelled"


async def test_a_key_may_be_for_some_addresses_only(app: Runner, service: Service) -> None:
    here, elsewhere = await made(app, sources=["127.0.0.0/8"]), await made(app, sources=["10.0.0.0/8"])

    assert (await service.http.get("/v1/tasks", headers=here)).status_code == 200
    spoofed = {**elsewhere, "x-forwarded-for": "10.0.0.1"}
    assert problem(await service.http.get("/v1/tasks", headers=spoofed)) == (403, "forbidden")
    async with serving(app.settings.model_copy(update={"trusted_proxies": "127.0.0.1, unix"}), app.queue) as behind_proxy:
        assert (await behind_proxy.http.get("/v1/tasks", headers=spoofed)).status_code == 200


async def test_an_app_may_say_itself_who_asks(app: Runner) -> None:
    asked: list[tuple[str, str | None]] = []

    async def authorize(scope: Mapping[str, Any], action: str, target: str | None) -> Principal:
        asked.append((action, target))
        name = dict(scope["headers"]).get(b"x-user")
        if name is None:
            raise Forbidden("log in first")
        return Principal(name.decode(), frozenset({Scope.limits_read, Scope.limits_write}))

    host = FastAPI()
    host.include_router(router(app, authorize=authorize), prefix="/queue")
    transport = httpx.ASGITransport(host, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        assert problem(await http.get("/queue/v1/limits/slow")) == (403, "forbidden")
        paused = await http.post("/queue/v1/limits/slow/pause", headers={"x-user": "ann"}, json={"reason": "lunch"})
        assert paused.json()["paused"]["reason"] == "ann: lunch"
        assert problem(await http.get("/queue/v1/jobs/x", headers={"x-user": "ann"})) == (403, "forbidden")
    assert asked == [("limits:read", "slow"), ("limits:write", "slow"), ("jobs:read", "x")]


@pytest.mark.parametrize(
    ("peer", "is_here"),
    [
        (None, True),
        (("", 0), True),
        (("127.0.0.1", 5), True),
        (("::1", 5), True),
        (("::ffff:127.0.0.1", 5), True),
        (("10.0.0.1", 5), False),
        (("fe80::1%eth0", 5), False),
        (("::ffff:10.0.0.1", 5), False),
        (("localhost", 5), False),
    ],
)
def test_a_peer_is_on_this_machine_by_its_address(peer: Any, is_here: bool) -> None:
    assert is_on_this_machine(peer) is is_here


async def test_many_wrong_keys_at_once_cost_few_calls(app: Runner, behind_proxy: Service, redis: Redis) -> None:
    service = behind_proxy
    await made(app)
    await service.http.get("/v1/tasks", headers=bearer(MADE_UP))
    before = await scripts_called(redis)
    secrets = [new_secret(new_key_id()).text for _ in range(100)]
    answers = await asyncio.gather(*(service.http.get("/v1/tasks", headers={**elsewhere(), **bearer(secret)}) for secret in secrets))

    assert {answer.status_code for answer in answers} == {401}
    assert await scripts_called(redis) - before < 200, (
        "a look and a count for each, and those that come while a call is under way share the next"
    )


async def test_the_audit_is_for_who_may_read_it(app: Runner, service: Service) -> None:
    admin, operator = await made(app), await made(app, "operator")
    await service.http.post("/v1/limits/slow/pause", json={"reason": "repair"}, headers=admin)
    lines = (await service.http.get("/v1/audit", params={"since": "1h"}, headers=admin)).json()["lines"]

    assert [line["action"] for line in lines] == ["key created", "key created", "pause"]
    rest = await service.http.get("/v1/audit", params={"after": lines[0]["id"], "most": 1}, headers=admin)
    assert rest.json()["lines"] == lines[1:2]
    assert problem(await service.http.get("/v1/audit", headers=operator)) == (403, "forbidden")
    for wrong in ({"since": "soon"}, {"after": "(1"}, {"most": 0}, {"most": 1001}):
        assert problem(await service.http.get("/v1/audit", params=wrong, headers=admin)) == (422, "validation")


async def test_refusals_have_a_line_for_each_address_and_minute(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "EVERY_S", 0.5)
    key = await app.client.keys.create("reader", preset="observer")
    async with serving(app.settings, app.queue) as service:
        for _ in range(3):
            await service.http.get("/v1/tasks")
        for _ in range(2):
            await service.http.delete("/v1/jobs/x", headers=bearer(key.secret))

        async def written() -> bool:
            return len(await app.client.audit()) == 3

        await eventually(written)
        await service.http.get("/v1/tasks", headers=bearer(MADE_UP))

    lines = [(line.by, line.target, line.after) for line in await app.client.audit() if line.action == "refused"]
    assert lines == [
        ("the service", "address 127.0.0.1", "401 without a key that is accepted, 3 times"),
        ("the service", "address 127.0.0.1", f"403 key {key.key.id} reader has no right jobs:cancel; ask who made the key for it, 2 times"),
        ("the service", "address 127.0.0.1", "401 without a key that is accepted, once"),
    ]


async def test_a_trusted_proxy_names_its_users_and_nobody_else_does(app: Runner) -> None:
    users = {"trust_user_header": "X-Auth-Request-Email", "trust_user_preset": "admin", "trusted_proxies": "127.0.0.1"}
    ann = {"x-auth-request-email": "ann@example.org"}
    async with serving(app.settings.model_copy(update=users), app.queue) as service:
        paused = await service.http.post("/v1/limits/slow/pause", json={"reason": "lunch"}, headers=ann)
        assert paused.json()["paused"]["reason"] == "ann@example.org: lunch"
        for headers in ([], [*ann.items(), *ann.items()], [("x-auth-request-email", "")], [("x-auth-request-email", "a\tb")]):
            assert problem(await service.http.get("/v1/tasks", headers=headers)) == (401, "unauthenticated")
        reader = await made(app, "observer")
        await eventually_closed(service.http)
        assert problem(await service.http.post("/v1/limits/slow/resume", headers={**ann, **reader})) == (403, "forbidden"), "the key counts"
    async with serving(app.settings.model_copy(update={**users, "trusted_proxies": "10.0.0.1"}), app.queue) as service:
        assert problem(await service.http.get("/v1/tasks", headers=ann)) == (401, "unauthenticated")
    assert [line.by for line in await app.client.audit() if line.action == "pause"] == ["ann@example.org"]
