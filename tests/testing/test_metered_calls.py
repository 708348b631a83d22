"""Metered calls as a user writes and tests them: what a provider says, shares, time to wait and ETA, to the millisecond of the queue's own time."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from runner import JobHandle, RateLimited, Runner, State, TokenBucket, raise_rate_limited
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]


def answers(status_code: int, headers: dict[str, str]) -> httpx.MockTransport:
    """A provider that raises this error once, and then answers."""
    said: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(request)
        return httpx.Response(status_code, headers=headers) if len(said) == 1 else httpx.Response(200, text="yes")

    return httpx.MockTransport(answer)


def times(queue: TestQueue) -> list[float]:
    return [start.at for start in queue.starts]


async def states(jobs: list[JobHandle[Any]]) -> list[str]:
    return [str((await job.status()).state) for job in jobs]


@pytest.mark.parametrize(
    "said", [2.5, timedelta(seconds=2.5), httpx.Response(429, headers={"retry-after-ms": "2500"})], ids=["number", "timedelta", "response"]
)
async def test_a_throttled_job_waits_as_long_as_the_provider_says_and_uses_no_retry(test_queue: MakeQueue, app: Runner, said: Any) -> None:
    names: list[str] = []

    @app.task(limits=[TokenBucket("pay", rate="50/s", burst=1)], retries=0)
    async def call(name: str) -> str:
        names.append(name)
        if len(names) == 1:
            raise RateLimited("pay", retry_after=said)
        return name

    async with test_queue(app) as queue:
        jobs = await app.submit_many([call.prepare(f"j{number}") for number in range(5)])
        await queue.run_until_idle()

        assert await states(jobs) == ["succeeded"] * 5
        assert names == ["j0", "j0", "j1", "j2", "j3", "j4"]
        assert times(queue) == pytest.approx([0, 2.5, 2.52, 2.54, 2.56, 2.58], abs=0.001)
        status = await jobs[0].status()
        assert (status.throttled, status.failures, status.attempt) == (1, 0, 2)


@pytest.mark.parametrize(
    ("status_code", "headers", "seconds"),
    [(429, {"retry-after": "3"}, 3), (429, {"x-ratelimit-reset-requests": "1.6s"}, 1.6), (503, {"retry-after-ms": "1600"}, 1.6)],
)
async def test_an_httpx_client_with_the_hook_throttles_by_itself(
    test_queue: MakeQueue, app: Runner, status_code: int, headers: dict[str, str], seconds: float
) -> None:
    transport = answers(status_code, headers)

    @app.task(limits=[TokenBucket("pay", rate="50/s", burst=5)], retries=0)
    async def call() -> str:
        async with httpx.AsyncClient(transport=transport, event_hooks={"response": [raise_rate_limited("pay")]}) as client:
            return (await client.get("http://provider/")).text

    async with test_queue(app) as queue:
        job = await call.submit()
        await queue.run_until_idle()

        assert await job.result() == "yes"
        assert times(queue) == pytest.approx([0, seconds], abs=0.001)
        assert (await job.status()).throttled == 1


async def test_waiting_jobs_tell_place_and_time_and_lose_no_retry(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/s", burst=1)], retries=0)
    async def call() -> None: ...

    async with test_queue(app) as queue:
        jobs = await app.submit_many([call.prepare() for _ in range(3)])
        await queue.advance(0.4)
        places = [await job.status() for job in jobs[1:]]
        assert [(status.state, status.reason, status.limit, status.position) for status in places] == [
            ("waiting", "tokens", "slow", place) for place in (1, 2)
        ]
        assert [status.eta_s for status in places] == pytest.approx([0.6, 1.6], abs=0.001)
        await queue.run_until_idle()

        for job in jobs:
            status = await job.status()
            assert (status.state, status.attempt, status.failures) == ("succeeded", 1, 0)


async def test_jobs_start_at_the_eta_that_was_shown(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("steady", rate="20/s", burst=1)])
    async def call(number: int) -> None: ...

    async with test_queue(app) as queue:
        jobs = await app.submit_many([call.prepare(number) for number in range(60)])
        await queue.advance(0.12)
        shown = {
            number: queue.seconds + status.eta_s
            for number, status in enumerate([await job.status() for job in jobs])
            if status.state is State.waiting and status.eta_s is not None
        }
        assert len(shown) > 50
        await queue.run_until_idle()

        started = {start.arguments["number"]: start.at for start in queue.starts}
        assert [started[number] for number in shown] == pytest.approx(list(shown.values()), abs=0.001)


async def test_quiet_tenants_do_not_wait_for_a_loud_one(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("pay", rate="100/s", burst=1)], fair_by="{tenant}")
    async def call(tenant: str) -> None: ...

    async with test_queue(app) as queue:
        await app.submit_many([call.prepare("loud") for _ in range(300)])
        await queue.advance(0.5)
        await app.submit_many([call.prepare(f"quiet{number}") for number in range(10)])
        begun = len(queue.starts)
        await queue.advance(0.5)

        order = [start.arguments["tenant"] for start in queue.starts]
        last = max(place for place, tenant in enumerate(order) if tenant != "loud")
        assert len(set(order)) == 11
        assert last - begun <= 20, "each of them waits for one turn of the loud one at most"


async def test_tenants_have_equal_shares_and_the_heavy_one_its_weight(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(limits=[TokenBucket("pay", rate="200/s", burst=1)], fair_by="{tenant}", weights={"gold": 3})
    async def call(tenant: str) -> None: ...

    async with test_queue(app) as queue:
        sizes = {"a": 150, "b": 60, "c": 60, "gold": 180}
        await app.submit_many([call.prepare(tenant) for tenant, size in sizes.items() for _ in range(size)])
        await queue.advance(240 / 200)

        served = Counter(start.arguments["tenant"] for start in queue.starts[:240])
        shares = [served[tenant] / weight for tenant, weight in (("a", 1), ("b", 1), ("c", 1), ("gold", 3))]
        assert sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares)) > 0.98, served


@pytest.mark.parametrize(("on_expiry", "state"), [("expire", "expired"), ("fail", "failed")])
async def test_a_job_that_waits_too_long_ends_as_its_options_say(test_queue: MakeQueue, app: Runner, on_expiry: Any, state: str) -> None:
    @app.task(limits=[TokenBucket("slow", rate="1/hour", burst=1)], max_wait=0.5, on_expiry=on_expiry)
    async def call() -> None: ...

    async with test_queue(app) as queue:
        jobs = await app.submit_many([call.prepare(), call.prepare()])
        await queue.advance(0.499)
        assert await states(jobs) == ["succeeded", "waiting"]
        await queue.advance(0.002)
        assert await states(jobs) == ["succeeded", state]
