"""examples/fastapi_app.py, tested as its users test theirs: by FastAPI's TestClient, on a queue in virtual time."""

import warnings
from collections.abc import Callable

import pytest

from examples.fastapi_app import app, charge, jobs
from runner.testing import TestQueue

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

MakeQueue = Callable[..., TestQueue]


def test_a_payment_is_accepted_and_made(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app) as client:
        answer = client.post("/orders/o-17/payment")
        assert (answer.status_code, answer.json()) == (202, {"id": "pay-o-17", "state": "queued"})
        queue.assert_submitted(charge, "o-17")
        assert queue.starts == []  # the worker of the app rests

        queue.blocking.run_until_idle()
        assert client.get("/payments/pay-o-17").json() == "paid o-17"
        assert client.post("/orders/o-17/payment").json() == {"id": "pay-o-17", "state": "existing"}


def test_payments_keep_the_providers_rate(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app) as client:
        for n in range(30):
            client.post(f"/orders/o-{n}/payment/plain")
        queue.blocking.run_until_idle()

        assert queue.seconds == pytest.approx(120, abs=0.001)
        assert len(queue.jobs("succeeded")) == 30


def test_who_waits_for_a_payment_gets_it(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app) as client:
        client.post("/orders/o-1/payment")
        assert client.get("/payments/pay-o-1").json() == "paid o-1"
        assert len(queue.starts) == 1


def test_errors_are_problems(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app) as client:
        unknown = client.get("/payments/nope")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
        assert unknown.json()["type"] == "/problems/not-found"
        assert "not-found (404)" in client.get(unknown.json()["type"]).text
        with queue.redis_down():
            away = client.post("/orders/o-2/payment")
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")


def test_the_answer_stands_in_the_contract() -> None:
    schema = app.openapi()
    answer = schema["paths"]["/orders/{order}/payment"]["post"]["responses"]["202"]["content"]["application/json"]["schema"]

    assert answer["properties"]["id"] == {"type": "string"}
    assert answer["properties"]["state"]["enum"] == ["queued", "waiting", "scheduled", "failed", "existing", "replaced"]
    assert "/problems/{name}" not in schema["paths"]
