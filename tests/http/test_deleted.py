"""Everything in Redis deleted, or damaged, under a service that runs: jobs are unknown, nothing is an error of the service."""

import asyncio

import pytest
from redis.asyncio import Redis

from runner import Runner
from runner.store.keys import Keys
from tests.app_internals import publish
from tests.conftest import connect
from tests.eventually import eventually
from tests.http.conftest import Gate, Service, make_app, serving, working
from tests.recovery import Recovery
from tests.servers import Server
from tests.worker.conftest import short_settings

REQUESTS = [
    ("GET", "/v1/jobs/first", None, 404),
    ("GET", "/v1/jobs/first?wait=1&explain=1", None, 404),
    ("DELETE", "/v1/jobs/first", None, 404),
    ("POST", "/v1/jobs/first/retry", None, 404),
    ("GET", "/v1/tasks", None, 200),
    ("GET", "/v1/limits", None, 200),
    ("GET", "/v1/limits/slow", None, 404),
    ("POST", "/v1/limits/slow/pause", {"reason": "test"}, 404),
    ("POST", "/v1/limits/slow/freeze", {"duration": 1}, 404),
    ("PUT", "/v1/limits/slow", {"capacity": 3}, 404),
    ("GET", "/v1/workers", None, 200),
    ("GET", "/readyz", None, 200),
]


@pytest.mark.fault("F22", bound_s=5)
async def test_after_everything_was_deleted_jobs_are_unknown_and_workers_make_tasks_known_again(
    private_server: Server, gate: Gate, recovery: Recovery
) -> None:
    app = make_app("deleted", short_settings(private_server.url), gate)
    await publish(app)
    async with serving(app.settings, app.queue) as service, connect(private_server.url) as redis:
        await service.submit("add", args={"left": 1}, id="first")
        waiting = asyncio.create_task(service.http.get("/v1/jobs/first", params={"wait": 2}))
        await eventually(lambda: redis.hexists(Keys("deleted").job("first"), "watched"))
        await redis.flushall()
        answers = [await service.http.request(method, path, json=body) for method, path, body, _ in REQUESTS]
        assert [answer.status_code for answer in answers] == [status for *_, status in REQUESTS]
        assert (await waiting).status_code == 404
        # What the service knew of the tasks it forgets within 2 s; nobody serves them any more.
        await eventually(lambda: is_unknown(service))

        async with working(app):
            assert (await service.http.get("/v1/jobs/" + await service.submit("add", args={"left": 1}), params={"wait": 10})).json()[
                "result"
            ] == 2
            await redis.flushall()
            recovery.begins()
            await eventually(lambda: runs_again(service))
            recovery.ends()
    await app.close()


async def is_unknown(service: Service) -> bool:
    answer = await service.http.post("/v1/jobs", json={"task": "scarce"})
    assert answer.status_code in (202, 422)
    return answer.status_code == 422


async def runs_again(service: Service) -> bool:
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}})
    assert answer.status_code in (202, 422)
    if answer.status_code == 422:
        return False
    return bool((await service.http.get(answer.headers["location"], params={"wait": 1})).json().get("state") == "succeeded")


@pytest.mark.fault("F36")
@pytest.mark.parametrize(
    "damage",
    [
        {"state": "nonsense"},
        {"attempt": "many"},
        {"priority": "7"},
        {"submitted": "soon"},
        {"args": "{broken"},
        {"limits": "gibberish"},
        {"error": "{broken"},
        {"error": "[]"},
        {"error": "{}"},
    ],
    ids=str,
)
async def test_a_damaged_record_is_no_error_of_the_service(
    app: Runner, service: Service, redis: Redis, queue: str, damage: dict[str, str]
) -> None:
    job_id = await service.submit("add", args={"left": 1})
    await redis.hset(Keys(queue).job(job_id), mapping=damage)  # type: ignore[arg-type] # a dict of texts

    for method, path in (("GET", ""), ("GET", "?explain=1"), ("POST", "/retry"), ("DELETE", ""), ("GET", "")):
        answer = await service.http.request(method, f"/v1/jobs/{job_id}{path}")
        assert answer.status_code < 500, (method, path, answer.text)
