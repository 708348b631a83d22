"""Submitting many jobs over HTTP."""

from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from runner import Worker
from tests.http.conftest import Service
from tests.leftovers import keys_of


def add(number: int, **fields: Any) -> dict[str, Any]:
    return {"task": "add", "args": {"left": number}, **fields}


async def submit(service: Service, jobs: list[dict[str, Any]]) -> httpx.Response:
    return await service.http.post("/v1/jobs/batch", json={"jobs": jobs})


async def stored(redis: Redis, queue: str) -> int:
    return sum(":job:" in key for key in await keys_of(redis, queue))


async def test_a_thousand_jobs_are_accepted_in_order(service: Service, redis: Redis, queue: str) -> None:
    answer = await submit(service, [add(number, id=f"n{number}") for number in range(1000)])
    assert answer.status_code == 202
    jobs = answer.json()["jobs"]
    assert [job["id"] for job in jobs] == [f"n{number}" for number in range(1000)]
    assert {(job["state"], job["created"]) for job in jobs} == {("queued", True)}
    assert await stored(redis, queue) == 1000
    assert (await service.http.get("/v1/jobs/n999")).json()["args"] == {"left": 999}


async def test_a_batch_takes_one_call_for_each_hundred_jobs(service: Service, redis: Redis) -> None:
    await service.submit("add", args={"left": 1})
    before = await scripts_run(redis)
    await submit(service, [add(number) for number in range(1000)])
    assert await scripts_run(redis) - before == 10
    before = await scripts_run(redis)
    await submit(service, [add(number, delay=60) for number in range(400)])
    assert await scripts_run(redis) - before <= 4 + 12 + 1, "when they start and end: places by 35, and how long runs take, once"


async def scripts_run(redis: Redis) -> int:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


async def test_arguments_beyond_their_bound_are_refused_as_too_large(service: Service, redis: Redis, queue: str) -> None:
    answer = await submit(service, [add(1), {"task": "echo", "args": {"value": "x" * 1_048_576}}])

    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (413, "/problems/arguments-too-large")
    assert await stored(redis, queue) == 0


async def test_each_job_is_told_its_own_place(service: Service) -> None:
    await service.submit("add", args={"left": 3}, id="y")
    jobs = (await submit(service, [add(1), add(2, delay=60), add(3, id="x"), add(3, id="y")])).json()["jobs"]
    assert [(job["state"], job["reason"], job["created"]) for job in jobs] == [
        ("queued", None, True),
        ("scheduled", "delay", True),
        ("queued", None, True),
        ("queued", "no worker", False),
    ]
    assert 55 < jobs[1]["eta_s"] <= 60


async def test_a_thousand_and_one_are_too_many(service: Service, redis: Redis, queue: str) -> None:
    answer = await submit(service, [add(number) for number in range(1001)])
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/batch-invalid")
    assert "1000" in answer.json()["detail"]
    assert await stored(redis, queue) == 0


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"task": "add", "args": {"left": 1}, "prio": 1}, "unknown field"),
        ({"task": "add", "args": {"left": "one"}}, "left"),
        ({"task": "chrage"}, "unknown task 'chrage'"),
        (add(1, id="a b"), "job id 'a b'"),
        (add(1, run_at="9999-01-01T00:00:00Z"), "366 days"),
        ({"task": "scarce", "cost": {"slow": 3}}, "more than its bucket can ever hold"),
        ("add", "object"),
    ],
)
async def test_one_bad_job_refuses_the_batch_and_is_named(service: Service, redis: Redis, queue: str, bad: Any, said: str) -> None:
    answer = await submit(service, [add(0), add(1), bad, add(3)])
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/batch-invalid")
    assert problem["detail"].startswith("job 2: ")
    assert said in problem["detail"]
    assert problem["errors"][0]["pointer"].startswith("#/jobs/2")
    assert await stored(redis, queue) == 0


async def test_of_two_bad_jobs_the_first_is_named(service: Service) -> None:
    answer = await submit(service, [add(0), {"task": "chrage"}, add(1, run_at="9999-01-01T00:00:00Z")])
    assert answer.json()["detail"].startswith("job 1: unknown task")


async def test_an_id_twice_in_a_batch_is_refused_and_nothing_is_stored(service: Service, redis: Redis, queue: str) -> None:
    answer = await submit(service, [add(0), add(1, id="x"), add(2), add(1, id="x")])
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/batch-invalid")
    assert problem["detail"] == "job 3: job 1 has the id 'x' too: give each job of a batch its own"
    assert problem["errors"][0]["pointer"] == "#/jobs/3/id"
    assert await stored(redis, queue) == 0


async def test_places_are_told_without_reading_what_the_jobs_carry(service: Service, redis: Redis) -> None:
    jobs = [{"task": "echo", "args": {"value": "x" * 100_000}, "id": f"e{number}", "delay": 60} for number in range(10)]
    before = await bytes_sent(redis)
    answer = await submit(service, jobs)
    assert [job["state"] for job in answer.json()["jobs"]] == ["scheduled"] * 10
    assert await bytes_sent(redis) - before < 100_000


async def bytes_sent(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_net_output_bytes"])


async def test_an_empty_batch_is_refused(service: Service) -> None:
    answer = await submit(service, [])
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")


async def test_a_taken_id_is_told_of_its_job_alone(service: Service, worker: Worker) -> None:
    await service.submit("add", args={"left": 1}, id="mine")
    await service.submit("add", args={"left": 1}, id="same")
    answer = await submit(service, [add(1), add(2, id="mine"), add(1, id="same"), add(3)])
    assert answer.status_code == 207
    first, conflict, existing, last = answer.json()["jobs"]
    assert (conflict["id"], conflict["state"], conflict["created"]) == ("mine", None, False)
    assert (conflict["problem"]["type"], conflict["problem"]["status"]) == ("/problems/id-conflict", 409)
    assert (existing["created"], "problem" in existing) == (False, False)
    for job in (first, last):
        assert (await service.http.get(f"/v1/jobs/{job['id']}", params={"wait": 10})).json()["state"] == "succeeded"
    assert (await service.http.get("/v1/jobs/mine")).json()["args"] == {"left": 1}
