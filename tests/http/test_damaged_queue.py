"""A key of the queue that holds something else than it should: a 503 that names the key, and nothing that a caller must not know."""

import logging

import pytest
from redis.asyncio import Redis

from runner import Runner
from runner.store.keys import Keys
from tests.http.conftest import Service

ADD = {"task": "add", "args": {"left": 1}}


@pytest.mark.parametrize(
    ("name", "method", "path", "body"),
    [
        ("stream:high", "POST", "/v1/jobs", ADD | {"priority": "high"}),
        ("scheduled", "POST", "/v1/jobs", ADD | {"delay": 60}),
        ("stream:normal", "POST", "/v1/jobs/batch", {"jobs": [ADD, ADD]}),
        ("limits", "GET", "/v1/limits", None),
        ("workers", "GET", "/v1/workers", None),
        ("serving", "GET", "/v1/tasks", None),
    ],
)
async def test_a_damaged_key_is_named_in_a_problem_of_its_own(
    service: Service,
    app: Runner,
    redis: Redis,
    name: str,
    method: str,
    path: str,
    body: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damaged = Keys(app.queue).prefix + name
    await redis.delete(damaged)
    await redis.set(damaged, "somebody's secret")
    caplog.set_level(logging.ERROR, "runner")

    answers = [await service.http.request(method, path, json=body) for _ in range(3)]

    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["type"], answer.headers["retry-after"]) == (503, "/problems/damaged-queue", "10")
        assert problem["detail"].startswith(f"key {damaged} should hold a ")
        assert problem["detail"].endswith("; python -m runner doctor names it too")
        assert not any(word in answer.text for word in ("secret", "WRONGTYPE", "unix", ".sock", "redis://"))
    assert caplog.text.count("requests are refused, as the queue is damaged: key ") == 1
    await redis.delete(damaged)
    assert (await service.http.request(method, path, json=body)).status_code < 300


async def test_lines_stop_at_a_damaged_key(service: Service, app: Runner, redis: Redis) -> None:
    damaged = Keys(app.queue).prefix + "stream:normal"
    await redis.set(damaged, "x")

    answer = await service.http.post(
        "/v1/jobs/batch", content='{"task":"add","args":{"left":1}}\n' * 3, headers={"content-type": "application/x-ndjson"}
    )

    *_, last = answer.text.splitlines()
    assert '"unread_from":4' in last
    assert "/problems/damaged-queue" in last
    await redis.delete(damaged)
