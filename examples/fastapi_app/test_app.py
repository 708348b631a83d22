"""The tests of the shop, without Redis and without waiting: FastAPI's TestClient, on a real queue in virtual time. Copy them with the app."""

# The types of TestClient are those of a package that it looks for when it is imported:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import warnings
from collections.abc import Callable

import pytest

from examples.fastapi_app.app import app
from examples.fastapi_app.tasks import charge, jobs
from runner.testing import TestQueue

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

MakeQueue = Callable[..., TestQueue]
STAFF = {"Authorization": "Bearer staff-token"}
OPERATOR = {"Authorization": "Bearer operator-token"}


def test_a_payment_is_accepted_and_made(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app, headers=STAFF) as client:
        answer = client.post("/orders/o-17/payment")
        assert (answer.status_code, answer.json()) == (202, {"id": "pay-o-17", "state": "queued"})
        queue.assert_submitted(charge, "o-17")
        assert queue.starts == []  # the worker of the app rests

        queue.blocking.run_until_idle()
        assert client.get("/orders/o-17/payment").json() == "paid o-17"
        assert client.post("/orders/o-17/payment").json() == {"id": "pay-o-17", "state": "existing"}
        assert queue.jobs()[0].metadata == {"by": "staff"}


def test_payments_keep_the_providers_rate(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app, headers=STAFF) as client:
        for n in range(30):
            client.post(f"/orders/o-{n}/payment/plain")
        queue.blocking.run_until_idle()

        assert queue.seconds == pytest.approx(120, abs=0.001)
        assert len(queue.jobs("succeeded")) == 30


def test_who_waits_for_a_payment_gets_it(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app, headers=STAFF) as client:
        client.post("/orders/o-1/payment")
        assert client.get("/orders/o-1/payment").json() == "paid o-1"
        assert len(queue.starts) == 1


def test_a_report_says_how_far_it_is_and_is_written_once_at_a_time(test_queue: MakeQueue) -> None:
    with test_queue(jobs, virtual_sleep=True) as queue, TestClient(app, headers=STAFF) as client:
        job = client.post("/reports/2026-11").json()["id"]
        assert client.post("/reports/2026-11").json() == {"id": job, "state": "existing"}
        queue.blocking.advance(4.5)
        assert client.get(f"/reports/{job}").json() == {"state": "running", "done": 0.4, "note": "page 5"}
        queue.blocking.run_until_idle()
        assert client.get(f"/reports/{job}").json()["state"] == "succeeded"


def test_strangers_reach_nothing(test_queue: MakeQueue) -> None:
    with test_queue(jobs), TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50_000)) as client:
        for path in ("/orders/o-1/payment", "/reports/x", "/queue/v1/limits", "/queue/v1/jobs/x"):
            assert client.get(path).status_code == 401
        for headers in ({}, STAFF):
            assert client.get("/operators/v1/limits", headers=headers).json() == {"detail": "operators only"}
        assert client.get("/operators/v1/limits", headers=OPERATOR).status_code == 200


def test_errors_are_problems(test_queue: MakeQueue) -> None:
    with test_queue(jobs) as queue, TestClient(app, headers=STAFF) as client:
        unknown = client.get("/orders/nope/payment")
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
    assert {"/queue/v1/jobs", "/queue/v1/jobs/{id}"} <= schema["paths"].keys()
    assert not any(path.startswith(("/operators", "/problems")) for path in schema["paths"])
