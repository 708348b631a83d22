"""Requests with conditions and preferences: ETag and 304, Prefer: wait=, and when to come back."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from runner import Runner, Worker
from tests.eventually import eventually
from tests.http.conftest import Gate, Service


async def ask(service: Service, job_id: str, etag: str, **parameters: Any) -> httpx.Response:
    return await service.http.get(f"/v1/jobs/{job_id}", params=parameters, headers={"If-None-Match": etag})


# ETag


async def test_a_status_that_has_not_changed_is_answered_304_without_a_body(service: Service) -> None:
    job_id = await service.submit("held")
    first = await service.http.get(f"/v1/jobs/{job_id}")
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    for given in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = await ask(service, job_id, given)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert "content-type" not in again.headers
    for given in ('"other"', etag[:-2] + '"', "W/", ""):
        assert (await ask(service, job_id, given)).status_code == 200


async def test_every_change_of_a_job_is_another_version(service: Service, app: Runner, gate: Gate, worker: Worker) -> None:
    etags = []

    async def version() -> str:
        etags.append((await service.http.get(f"/v1/jobs/{job_id}")).headers["etag"])
        return str(etags[-1])

    job_id = await service.submit("held", delay=3600)
    await version()
    await service.http.delete(f"/v1/jobs/{job_id}")
    await version()
    await service.http.post(f"/v1/jobs/{job_id}/retry")
    await gate.started.wait()
    await version()
    gate.open.set()
    await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})
    await version()
    assert len(set(etags)) == 4


async def test_the_seconds_of_an_eta_are_no_change(service: Service) -> None:
    job_id = await service.submit("add", args={"left": 1}, delay=3600)
    first = await service.http.get(f"/v1/jobs/{job_id}")

    async def later() -> bool:
        answer = await service.http.get(f"/v1/jobs/{job_id}")
        return bool(answer.json()["eta_s"] < first.json()["eta_s"])

    await eventually(later)
    assert (await ask(service, job_id, first.headers["etag"])).status_code == 304


async def test_a_place_in_line_that_moves_is_a_change(service: Service, worker: Worker) -> None:
    jobs = [await service.submit("scarce", args={"number": number}) for number in range(4)]
    await eventually(lambda: is_second(service, jobs[3]))
    etag = (await service.http.get(f"/v1/jobs/{jobs[3]}")).headers["etag"]
    await service.http.delete(f"/v1/jobs/{jobs[2]}")
    moved = await ask(service, jobs[3], etag)
    assert (moved.status_code, moved.json()["position"]) == (200, 1)


async def is_second(service: Service, job_id: str) -> bool:
    return bool((await service.http.get(f"/v1/jobs/{job_id}")).json()["position"] == 2)


async def test_a_wait_that_ends_without_a_change_is_answered_304_and_one_that_sees_the_end_200(
    service: Service, gate: Gate, worker: Worker
) -> None:
    job_id = await service.submit("held")
    await gate.started.wait()
    etag = (await service.http.get(f"/v1/jobs/{job_id}")).headers["etag"]
    assert (await ask(service, job_id, etag, wait=0.1)).status_code == 304
    waiting = asyncio.create_task(ask(service, job_id, etag, wait=20))
    gate.open.set()
    assert ((await waiting).status_code, (await waiting).json()["result"]) == (200, "let go")


async def test_an_explanation_has_no_version(service: Service) -> None:
    job_id = await service.submit("held")
    answer = await ask(service, job_id, "*", explain=1)
    assert answer.status_code == 200
    assert "etag" not in answer.headers


# Prefer


async def test_a_status_waits_as_preferred_and_says_so(service: Service, worker: Worker) -> None:
    job_id = await service.submit("add", args={"left": 1})
    answer = await service.http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "respond-async, wait=20"})
    assert (answer.json()["state"], answer.headers["preference-applied"]) == ("succeeded", "wait=20")


async def test_a_submission_that_waits_is_answered_with_the_job_at_its_end(service: Service, worker: Worker) -> None:
    body = {"task": "add", "args": {"left": 1}}
    answer = await service.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=20")
    assert answer.headers["location"] == answer.headers["content-location"] == f"/v1/jobs/{answer.json()['id']}"
    assert (answer.json()["state"], answer.json()["result"], answer.json()["created"]) == ("succeeded", 2, True)


async def test_a_submission_whose_job_does_not_end_in_time_is_answered_as_without_waiting(service: Service) -> None:
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"], answer.json()["created"]) == (202, "queued", True)
    assert answer.headers["preference-applied"] == "wait=1"


async def test_a_stop_of_the_service_ends_a_submission_that_waits_and_its_job_stays(service: Service, app: Runner) -> None:
    body = {"task": "held", "id": "mine"}
    waiting = asyncio.create_task(service.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}))
    await eventually(lambda: any("JobHandle.wait" in repr(task) for task in asyncio.all_tasks()))
    service.stopping.set()
    assert (await waiting).status_code == 202
    assert (await app.client.status("mine")).state == "queued"


@pytest.mark.parametrize("prefer", ["wait=", "wait=-1", "wait=soon", "wait=1.5", "wait", "return=minimal", "await=5", "wait=٣", ""])
async def test_what_is_no_preference_to_wait_is_ignored(service: Service, prefer: str) -> None:
    job_id = await service.submit("held")
    started_s = time.monotonic()
    answer = await service.http.get(f"/v1/jobs/{job_id}", headers=[(b"prefer", prefer.encode())])
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers
    assert time.monotonic() - started_s < 10


@pytest.mark.parametrize(
    ("prefer", "granted"), [('WAIT = "20"', 20), ("wait=7;x=1, wait=9", 7), ("wait=999", 60), ("wait=99999999999999999999", 60)]
)
async def test_a_preference_is_read_as_its_rfc_has_it_and_granted_as_far_as_requests_may_wait(
    service: Service, worker: Worker, prefer: str, granted: int
) -> None:
    job_id = await service.submit("add", args={"left": 1})
    answer = await service.http.get(f"/v1/jobs/{job_id}", headers={"Prefer": prefer})
    assert (answer.json()["state"], answer.headers["preference-applied"]) == ("succeeded", f"wait={granted}")


async def test_a_wait_in_the_query_goes_before_a_preference(service: Service, worker: Worker) -> None:
    job_id = await service.submit("add", args={"left": 1})
    answer = await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20}, headers={"Prefer": "wait=1"})
    assert answer.json()["state"] == "succeeded"
    assert "preference-applied" not in answer.headers


# Retry-After


async def test_a_submission_says_when_its_job_can_start(service: Service) -> None:
    async def said(**fields: Any) -> str | None:
        answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}, **fields})
        assert answer.status_code == 202
        said: str | None = answer.headers.get("retry-after")
        return said

    assert await said() is None
    assert await said(delay=60) in ("59", "60")
    assert await said(delay=0.5) == "1"
    assert await said(delay=1_000_000) == "3600"


async def test_a_job_in_line_says_when_its_token_lands(service: Service, worker: Worker) -> None:
    for number in range(2):
        await service.submit("scarce", args={"number": number})
    answer = await service.http.post("/v1/jobs", json={"task": "scarce", "args": {"number": 3}})
    assert answer.json()["state"] == "waiting"
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
