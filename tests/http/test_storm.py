"""Callers that go away in the middle of everything: the others get their own answers, and nothing is used up."""

import asyncio
import json
import random
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from runner.jobs.job import Priority
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.http.conftest import Service
from tests.http.test_jobs import waits_of_requests
from tests.recovery import Recovery

JOBS = 20
GIVEN_UP = 2_000
AT_ONCE = 25
PATIENT = 100
LONGEST_S = 0.05
MOST_CONNECTIONS = 80
"""To Redis: the 32 of each of the service's pools, and those of the test."""


@pytest.mark.fault("F25", bound_s=1)
async def test_a_storm_of_requests_given_up_leaves_right_answers_and_free_connections(
    service: Service, redis: Redis, queue: str, recovery: Recovery
) -> None:
    chance = random.Random(17)
    for number in range(JOBS):
        await service.submit("echo", args={"value": number}, id=f"job-{number}")
    gates = asyncio.Semaphore(AT_ONCE)

    async def give_up(number: int) -> None:
        async with gates:
            await begin_and_leave(service.url, chance.choice([status_of, end_of, submission_of])(number), chance.random() * LONGEST_S)

    async def ask(number: int) -> None:
        answer = await service.http.get(f"/v1/jobs/job-{number}")
        assert answer.status_code == 200, answer.text
        assert (answer.status_code, answer.json()["id"], answer.json()["args"]) == (200, f"job-{number}", {"value": number})

    async def ask_all() -> None:
        for number in range(PATIENT):
            await ask(number % JOBS)

    await asyncio.gather(ask_all(), *(give_up(number % JOBS) for number in range(GIVEN_UP)))
    recovery.begins()
    await eventually(lambda: waits_of_requests() == 0)
    recovery.ends()
    # More than the connections to Redis there are: none of them may still be in use.
    await asyncio.gather(*(ask(number % JOBS) for number in range(4 * AT_ONCE)))
    assert len(await redis.client_list()) <= MOST_CONNECTIONS
    assert await redis.xlen(Keys(queue).stream(Priority.normal)) == JOBS


async def begin_and_leave(url: str, request: bytes, after_s: float) -> None:
    """Send a request, and reset the connection a moment later, answered or not."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    writer.write(request)
    try:
        async with asyncio.timeout(after_s):
            await reader.read(1)
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()


def status_of(number: int) -> bytes:
    return f"GET /v1/jobs/job-{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def end_of(number: int) -> bytes:
    return f"GET /v1/jobs/job-{number}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def submission_of(number: int) -> bytes:
    body = json.dumps({"task": "echo", "args": {"value": number}, "id": f"job-{number}"})
    return (
        f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
