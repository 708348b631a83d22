"""Submitting one job over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from redis.asyncio import Redis

from runner import Client, StoreUnavailable, Worker
from runner.store.keys import Keys
from tests.http.conftest import Service

NO_PLACE = {"reason": None, "limit": None, "bucket": None, "position": None, "eta_s": None, "end_eta_s": None}


async def test_a_job_is_accepted_with_its_location_and_its_place(service: Service) -> None:
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}})
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{body['id']}"
    assert body == {"id": body["id"], "task": "add", "state": "queued", "created": True, **NO_PLACE}
    assert (await service.http.get(answer.headers["location"])).json()["args"] == {"left": 1}


async def test_an_accepted_job_runs(service: Service, worker: Worker) -> None:
    job_id = await service.submit("add", args={"left": 2, "right": 3})
    ended = (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()
    assert (ended["state"], ended["result"]) == ("succeeded", 5)


async def test_a_job_behind_an_empty_bucket_is_told_its_place(service: Service, worker: Worker) -> None:
    for number in range(2):
        job_id = await service.submit("scarce", args={"number": number})
        await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})
    places = [(await service.http.post("/v1/jobs", json={"task": "scarce"})).json() for _ in range(2)]
    assert [(place["state"], place["reason"], place["limit"], place["position"]) for place in places] == [
        ("waiting", "tokens", "slow", 1),
        ("waiting", "tokens", "slow", 2),
    ]
    assert 3500 < places[0]["eta_s"] <= 3600 < places[1]["eta_s"] <= 7200


async def test_a_delayed_job_says_when_it_is_due(service: Service) -> None:
    body = (await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "delay": 60})).json()
    assert (body["state"], body["reason"]) == ("scheduled", "delay")
    assert 55 < body["eta_s"] <= 60


async def test_a_start_time_with_a_zone_is_kept(service: Service) -> None:
    at = datetime.now(UTC).astimezone(tz=None) + timedelta(seconds=60)
    body = (await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "run_at": at.isoformat()})).json()
    assert body["state"] == "scheduled"
    assert 55 < body["eta_s"] <= 60


async def test_a_start_time_in_the_past_means_now(service: Service) -> None:
    for past in ("2001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, "run_at": past})
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")


async def test_priority_is_kept(service: Service) -> None:
    job_id = await service.submit("add", args={"left": 1}, priority="high")
    assert (await service.http.get(f"/v1/jobs/{job_id}")).json()["priority"] == "high"


async def test_a_cost_of_the_callers_own_is_taken(service: Service, redis: Redis, queue: str) -> None:
    job_id = await service.submit("scarce", cost={"slow": 2})
    assert await redis.hget(Keys(queue).job(job_id), "limits") == b"slow=2"


async def test_the_same_id_and_body_is_the_same_job(service: Service) -> None:
    body = {"task": "add", "args": {"left": 1}, "id": "order:17"}
    first, again = [await service.http.post("/v1/jobs", json=body) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"created": False, "reason": "no worker"}
    assert again.headers["location"] == "/v1/jobs/order:17"


async def test_the_same_id_with_another_body_is_a_conflict(service: Service) -> None:
    await service.submit("add", args={"left": 1}, id="order:18")
    for other in ({"task": "add", "args": {"left": 2}}, {"task": "echo", "args": {"value": 1}}):
        answer = await service.http.post("/v1/jobs", json={"id": "order:18", **other})
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/id-conflict")
    assert (await service.http.get("/v1/jobs/order:18")).json()["args"] == {"left": 1}


async def test_hostile_text_comes_back_as_it_was_sent(service: Service, worker: Worker) -> None:
    text = "<script>alert(1)</script>\x1b[31m\r\nSet-Cookie: a=b\u2028"
    job_id = await service.submit("echo", args={"value": text})
    answer = await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})
    assert (answer.json()["args"], answer.json()["result"]) == ({"value": text}, text)
    assert b"\x1b" not in answer.content
    assert answer.headers["content-type"] == "application/json"
    failed = await service.submit("broken", args={"text": text})
    answer = await service.http.get(f"/v1/jobs/{failed}", params={"wait": 10})
    assert (answer.json()["state"], answer.json()["error"]["message"]) == ("failed", text)
    assert b"\x1b" not in answer.content


async def test_a_stored_job_is_accepted_though_redis_goes_before_its_place_is_known(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> NoReturn:
        raise StoreUnavailable("away")

    body = {"task": "add", "args": {"left": 1}, "delay": 60, "id": "kept"}
    monkeypatch.setattr(Client, "statuses", away)
    first, again = [await service.http.post("/v1/jobs", json=body) for _ in range(2)]
    assert (first.status_code, first.json()) == (202, {"id": "kept", "task": "add", "state": "scheduled", "created": True, **NO_PLACE})
    assert (again.status_code, again.json()["state"]) == (200, None)


async def test_what_nobody_foresaw_is_a_problem_that_tells_nothing_of_the_inside(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> NoReturn:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(Client, "submit", broken)
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}})
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "secret of the inside" in caplog.text
