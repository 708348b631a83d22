"""Callers that go away in the middle of everything: the others get their own answers, and nothing is used up."""

import asyncio
import random

import httpx

from tests.api.conftest import Service
from tests.api.test_jobs import waits_of_requests
from tests.eventually import eventually

JOBS = 20
REQUESTS = 500
AT_ONCE = 50


async def test_a_storm_of_requests_given_up_leaves_right_answers_and_free_connections(service: Service) -> None:
    chance = random.Random(17)
    for number in range(JOBS):
        await service.submit("echo", args={"value": number}, id=f"job-{number}")
    gates = asyncio.Semaphore(AT_ONCE)

    async def request(http: httpx.AsyncClient, number: int) -> bool:
        """Ask for one job, perhaps for its end, with little patience; whether an answer came."""
        path = f"/v1/jobs/job-{number}" + chance.choice(["", "?wait=60"])
        async with gates:
            try:
                async with asyncio.timeout(chance.random() * 0.5):
                    answer = await http.get(path)
            except TimeoutError:
                return False
        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["args"]) == (f"job-{number}", {"value": number})
        return True

    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, limits=limits) as http:
        answered = await asyncio.gather(*(request(http, number % JOBS) for number in range(REQUESTS)))
    assert 0 < sum(answered) < REQUESTS
    await eventually(lambda: waits_of_requests() == 0)
    # More than the connections to Redis there are: none of them may still be in use.
    answers = await asyncio.gather(*(service.http.get(f"/v1/jobs/job-{number % JOBS}") for number in range(2 * AT_ONCE)))
    assert [answer.json()["id"] for answer in answers] == [f"job-{number % JOBS}" for number in range(2 * AT_ONCE)]
