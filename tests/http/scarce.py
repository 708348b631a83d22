"""An app whose tokens come back in an hour, and how tests change its limits and look at its jobs over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runner import Concurrency, Quota, RateLimited, Runner, SlidingWindow, TokenBucket, load_settings
from tests.app_internals import publish
from tests.http.conftest import Service


class Mended(asyncio.Event):
    """Set when the task `brittle` no longer fails."""


@pytest.fixture
def mended() -> Mended:
    return Mended()


@pytest.fixture
async def app(redis_url: str, queue: str, mended: Mended) -> AsyncIterator[Runner]:
    """An app with a limit of each kind, of which a token of `pay` and `tenant` comes back in an hour only."""
    app = Runner(queue, settings=load_settings(redis_url=redis_url, concurrency=10, drain_s=1.0))
    kinds = [
        TokenBucket("block", capacity=2, refill=1, every=3600),
        SlidingWindow("window", 5, per=60),
        Concurrency("gpu", 2),
        Quota("lookups", 100, per="month"),
    ]
    told: set[int] = set()

    @app.task(limits=[TokenBucket("pay", rate="1/h", burst=1)])
    async def charge(number: int = 0) -> int:
        return number

    @app.task(limits=[TokenBucket("tenant", rate="1/h", burst=1, key="{tenant}")])
    async def keyed(tenant: str) -> str:
        return tenant

    @app.task(limits=kinds)
    async def mixed() -> None: ...

    @app.task(limits=[kinds[2]])
    async def holding() -> None:
        await mended.wait()

    @app.task(limits=[TokenBucket("provider", rate="1000/s")])
    async def told_to_wait(number: int) -> int:
        if number not in told:
            told.add(number)
            raise RateLimited(retry_after=0.01)
        return number

    @app.task(retries=0)
    async def brittle() -> str:
        if not mended.is_set():
            raise ValueError("not yet")
        return "mended"

    await publish(app)
    yield app
    await app.close()


async def limit(service: Service, name: str) -> dict[str, Any]:
    answer = await service.http.get(f"/v1/limits/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


_MOVES = ("state", "started", "unserved", "buckets", "frozen_s", "waiting", "waiting_buckets", "waiting_is_estimate", "buckets_not_shown")
"""What of a limit goes on while a test looks."""


async def act(service: Service, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await service.http.request(method, f"/v1/limits/{path}", json=body)
    assert answer.status_code == 200, answer.text
    said, then = answer.json(), await limit(service, path.partition("/")[0])
    assert said == then | {field: said[field] for field in _MOVES}
    changed: dict[str, Any] = answer.json()
    return changed


async def job(service: Service, job_id: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await service.http.get(f"/v1/jobs/{job_id}", params=query)).json()
    return found


async def line_up(service: Service, count: int) -> list[str]:
    """A job that has taken the only token of `pay`, and so many behind it."""
    spent = await service.submit("charge")
    assert (await job(service, spent, wait=10))["state"] == "succeeded"
    return [await service.submit("charge", args={"number": number}) for number in range(count)]


async def states(service: Service, jobs: list[str], wait: float = 0) -> list[str]:
    return [(await job(service, job_id, wait=wait))["state"] for job_id in jobs]
