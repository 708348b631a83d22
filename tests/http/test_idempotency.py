"""Idempotency-Key, as clients and libraries send it: a submission that is repeated is one job with one answer."""

import asyncio
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from runner import Worker
from tests.http.conftest import Service
from tests.http.test_batch import stored

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'


async def submit(service: Service, key: str, left: int = 1, **fields: Any) -> httpx.Response:
    body = {"task": "add", "args": {"left": left}, **fields}
    return await service.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})


async def test_a_repeat_has_the_answer_of_the_first_and_stores_nothing(service: Service, redis: Redis, queue: str) -> None:
    first, again = await submit(service, KEY), await submit(service, KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == again.headers["location"]
    assert again.json() == first.json() | {"reason": "no worker"}
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await stored(redis, queue) == 1


async def test_requests_at_the_same_time_are_one_job_and_all_are_told_of_it(service: Service, redis: Redis, queue: str) -> None:
    answers = await asyncio.gather(*(submit(service, KEY) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await stored(redis, queue) == 1


async def test_another_body_with_the_key_is_refused_and_the_job_stays_as_it_is(service: Service) -> None:
    first = await submit(service, KEY)
    for other in (await submit(service, KEY, left=2), await submit(service, KEY, task="echo", args={"value": 1})):
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert (await service.http.get(first.headers["location"])).json()["args"] == {"left": 1}


async def test_keys_are_told_apart_and_parameters_of_the_header_do_not_count(service: Service) -> None:
    places = [(await submit(service, key)).headers["location"] for key in ('"a"', '"a" ;v=1', '"b"', '"a\\\\"', '"a\\""', '"A"')]
    assert places[0] == places[1]
    assert len(set(places)) == 5


async def test_a_repeat_that_waits_is_answered_with_the_end(service: Service, worker: Worker) -> None:
    for _ in range(2):
        headers = {"Idempotency-Key": KEY, "Prefer": "wait=20"}
        answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}}, headers=headers)
        assert (answer.status_code, answer.json()["state"], answer.json()["result"]) == (200, "succeeded", 2)


@pytest.mark.parametrize(
    "key", ["order-17", '""', '"', '"a', 'a"', '"a" b', '"ä"', '"a\\b"', '"a","b"', f'"{"x" * 256}"', "", ":YWJj:", "?1", '"a\tb"']
)
async def test_a_key_that_is_no_text_in_quotation_marks_is_refused(service: Service, redis: Redis, queue: str, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = await service.http.post("/v1/jobs", json={"task": "add", "args": {"left": 1}}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-idempotency-key")
    assert await stored(redis, queue) == 0


async def test_two_keys_and_a_key_beside_an_id_are_refused(service: Service, redis: Redis, queue: str) -> None:
    body = {"task": "add", "args": {"left": 1}}
    two = await service.http.post("/v1/jobs", json=body, headers=[("Idempotency-Key", '"a"'), ("Idempotency-Key", '"b"')])
    both = await submit(service, '"a"', id="mine")
    for answer in (two, both):
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-idempotency-key")
    assert "'mine'" in both.json()["detail"]
    assert await stored(redis, queue) == 0


async def test_a_batch_with_a_key_is_refused_because_its_jobs_have_ids(service: Service, redis: Redis, queue: str) -> None:
    jobs = {"jobs": [{"task": "add", "args": {"left": 1}}]}
    answer = await service.http.post("/v1/jobs/batch", json=jobs, headers={"Idempotency-Key": KEY})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-idempotency-key")
    assert await stored(redis, queue) == 0
