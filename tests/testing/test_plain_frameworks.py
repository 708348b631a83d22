"""examples/flask_app.py and examples/django_app.py, tested as their users test theirs."""

from collections.abc import Callable

import pytest
from django.test import Client as DjangoClient
from django.test.utils import setup_test_environment, teardown_test_environment

from examples import django_app, flask_app
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]


def test_a_flask_app_submits_and_answers(test_queue: MakeQueue) -> None:
    with test_queue(flask_app.jobs) as queue:
        client = flask_app.app.test_client()
        answer = client.post("/orders/o-17/payment")
        assert (answer.status_code, answer.json) == (202, {"id": "pay-o-17", "state": "queued"})
        queue.assert_submitted(flask_app.charge, "o-17")
        assert client.get("/payments/pay-o-17").json == {"result": "paid o-17"}
        assert client.get("/payments/nope").status_code == 404
        for n in range(19):
            client.post(f"/orders/o-{n + 20}/payment")
        queue.blocking.run_until_idle()
        assert queue.seconds == pytest.approx(60, abs=0.001)
        queue.assert_no_dead_letters()


def test_a_django_app_submits_in_plain_views_and_awaits_in_async_ones(test_queue: MakeQueue) -> None:
    setup_test_environment()
    try:
        with test_queue(django_app.jobs) as queue:
            client = DjangoClient()
            answer = client.post("/orders/o-17/payment")
            assert (answer.status_code, answer.json()) == (202, {"id": "pay-o-17", "state": "queued"})
            queue.assert_submitted(django_app.charge, "o-17")
            assert client.get("/payments/pay-o-17").json() == {"result": "paid o-17"}
            assert client.get("/payments/nope").status_code == 404
            assert len(queue.jobs("succeeded")) == 1
    finally:
        teardown_test_environment()
