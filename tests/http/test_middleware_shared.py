"""The middleware of two apps whose rules share one limit: over both together it is kept, and used; and what callers are told of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from runner import Runner, TokenBucket, Worker, load_settings
from runner.asgi import Rule, by_header
from runner.clock import monotonic_s
from runner.connection import command
from tests.app_internals import store_of
from tests.eventually import eventually
from tests.http.metered import PATIENT_S, metered
from tests.http.uvicorn_server import serving
from tests.pace import Pace
from tests.servers import Server
from tests.starts import Starts

MANY = TokenBucket("api", rate="100/s", burst=20, shared=True)
FEW = TokenBucket("api", capacity=2, refill=1, every=3600, shared=True)


@dataclass
class Door:
    """An app of one queue behind its middleware, perhaps with a worker."""

    jobs: Runner
    http: httpx.AsyncClient
    answers: Counter[int] = field(default_factory=Counter)

    async def call(self, until_s: float) -> None:
        """A caller that knows no patience."""
        while monotonic_s() < until_s:
            self.answers[(await self.http.get("/")).status_code] += 1


@asynccontextmanager
async def door(
    url: str, queue: str, *limits: TokenBucket, has_worker: bool = True, shared_url: str = "", wait: float = 1.0
) -> AsyncIterator[Door]:
    settings = load_settings(redis_url=url, shared_url=shared_url or None, record_starts=True, command_timeout_s=PATIENT_S)
    jobs = Runner(queue, settings=settings)
    worker = Worker(jobs) if has_worker else None
    rules = [Rule(limit=limit, key=by_header("x-tenant") if limit.key else None) for limit in limits]
    async with serving(metered(jobs, rules, wait=wait)) as http:
        running = asyncio.create_task(worker.run()) if worker else None
        try:
            if worker:
                await eventually(lambda: worker._actors is not None and worker._actors.refill_loop.leads)
            yield Door(jobs, http)
        finally:
            if worker and running:
                worker.stop()
                await running


async def test_two_apps_that_share_a_limit_keep_it_together_and_use_most_of_it(private_server: Server, pace: Pace) -> None:
    url = private_server.url
    async with door(url, "first", MANY) as first, door(url, "second", MANY) as second:
        assert [(await one.http.get("/")).status_code for one in (first, second)] == [200, 200]
        until_s, began_s = monotonic_s() + 3, pace.now_s
        await asyncio.gather(*(one.call(until_s) for one in (first, second) for _ in range(25)))
        took_s = pace.now_s - began_s
        found = [await store_of(one.jobs).starts() for one in (first, second)]

    starts = Starts()
    for at_us in sorted(start.at_us for of_one in found for start in of_one):
        starts.add(at_us)
    assert set(first.answers) | set(second.answers) <= {200, 429}
    assert first.answers[200] + second.answers[200] + 2 <= len(starts.at_us)  # a token may come for a request that was answered
    assert starts.excess(MANY) <= 0
    assert first.answers[200] + second.answers[200] > 0.6 * 100 * took_s
    assert min(first.answers[200], second.answers[200]) > 0.25 * len(starts.at_us)


async def test_a_request_that_finds_no_token_of_a_shared_limit_is_told_when_to_come_back(private_server: Server) -> None:
    async with door(private_server.url, "shop", FEW) as shop:
        admitted = [await shop.http.get("/") for _ in range(2)]
        refused = await shop.http.get("/")

    assert [answer.status_code for answer in admitted] == [200, 200]
    assert admitted[0].headers["ratelimit-policy"] == '"api";q=2;w=7200'
    assert "ratelimit" not in admitted[0].headers  # how many are left, nobody here knows
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "3600"
    assert refused.headers["ratelimit"] == '"api";r=0;t=3600'


async def test_requests_beyond_what_the_bucket_can_hold_do_not_stand_in_line(private_server: Server) -> None:
    async with door(private_server.url, "shop", FEW, wait=4.0) as shop:
        assert [(await shop.http.get("/")).status_code for _ in range(2)] == [200, 200]
        answers = [asyncio.create_task(shop.http.get("/")) for _ in range(10)]
        await eventually(lambda: sum(not answer.done() for answer in answers) == 2)
        store = store_of(shop.jobs)
        assert await command(store.redis, "ZCARD", store.keys.line("1|api")) == 2
        assert {answer.status_code for answer in await asyncio.gather(*answers)} == {429}


async def test_a_shared_limit_with_a_key_goes_with_one_of_the_queue(private_server: Server) -> None:
    of_tenant = TokenBucket("tenant", capacity=2, refill=1, every=3600, key="{tenant}", shared=True)
    own = TokenBucket("own", capacity=3, refill=1, every=3600)
    async with door(private_server.url, "shop", of_tenant, own) as shop:

        async def status(tenant: str) -> tuple[int, list[str]]:
            answer = await shop.http.get("/", headers={"x-tenant": tenant})
            return answer.status_code, [] if answer.status_code == 200 else answer.json()["violated-policies"]

        assert [await status("t1") for _ in range(3)] == [(200, []), (200, []), (429, ["tenant"])]
        assert [await status("t2") for _ in range(2)] == [(200, []), (429, ["own"])]


async def test_without_a_worker_a_request_is_refused_at_once_and_the_log_says_why(
    private_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(private_server.url, "shop", MANY, has_worker=False) as shop:
        answers = [await shop.http.get("/") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].json()["type"].endswith("#temporary-reduced-capacity")
    assert answers[0].headers["retry-after"] == "5"
    (said,) = [record.getMessage() for record in caplog.records if "are refused" in record.getMessage()]
    assert said.startswith("requests that need limit api are refused: no worker leads its queue, and only a leader fetches tokens")


async def test_while_the_home_is_away_it_is_not_the_callers_fault(private_server: Server, server: Server) -> None:
    async with door(server.url, "shop", MANY, shared_url=private_server.url) as shop:
        assert (await shop.http.get("/")).status_code == 200
        private_server.kill()

        async def refused() -> bool:
            answers = await asyncio.gather(*(shop.http.get("/") for _ in range(10)))
            return 503 in [answer.status_code for answer in answers]

        await eventually(refused, within_s=30)
        private_server.start()

        async def admitted() -> bool:
            return (await shop.http.get("/")).status_code == 200

        await eventually(admitted, within_s=30)
