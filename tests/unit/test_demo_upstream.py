"""The metered service of the demonstration refuses what is beyond the limit, and nothing that keeps to it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from itertools import count

import httpx
import pytest

from runner.cli.demo import upstream as service
from runner.cli.demo.upstream import Meter, Upstream, serving
from runner.clock import MICROSECONDS
from runner.limits import BucketState, TokenBucket
from tests.eventually import eventually

LIMIT = TokenBucket("metered", capacity=10, refill=2, every=0.5)
JITTER_S = 0.25


def starts_s(limit: TokenBucket, chance: random.Random) -> Iterator[float]:
    """Instants of starts that keep to the limit, as early as possible or after a pause."""
    bucket, now_us = BucketState(), 0
    while True:
        now_us += chance.choice([0, 0, 0, 0, 1, 3_000, 499_999, 2_000_000])
        bucket = bucket.refilled(limit, now_us)
        if wait_us := bucket.wait_us(limit, 1, now_us):
            now_us += wait_us
            bucket = bucket.refilled(limit, now_us)
        bucket = bucket.taken(limit, 1)
        yield now_us / MICROSECONDS


@pytest.mark.parametrize("seed", range(10))
def test_starts_within_the_limit_are_admitted_whatever_the_way_takes(seed: int) -> None:
    chance = random.Random(seed)
    arrivals = sorted(
        start_s + chance.uniform(0.001, 0.001 + JITTER_S) for start_s, _ in zip(starts_s(LIMIT, chance), range(200), strict=False)
    )
    meter = Meter(LIMIT, JITTER_S)

    assert all(meter.admits(arrival_s) for arrival_s in arrivals)


def test_without_jitter_the_bound_itself_is_the_limit() -> None:
    meter = Meter(LIMIT, jitter_s=0)

    assert [meter.admits(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert [meter.admits(0.5) for _ in range(3)] == [True, True, False]


def test_a_refused_call_is_not_held_against_the_next_one() -> None:
    meter = Meter(LIMIT, JITTER_S)
    burst = sum(meter.admits(0.0) for _ in range(1000))

    assert burst == LIMIT.bound(JITTER_S)
    assert meter.admits(0.5)


def test_a_pace_just_above_the_limit_is_refused_in_the_end() -> None:
    meter, pause_s = Meter(LIMIT, JITTER_S), 0.24  # the limit permits a call each 0.25 s

    refused_s = next(number * pause_s for number in count() if not meter.admits(number * pause_s))

    assert refused_s < 70


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setattr(service, "CALL_S", 0.02)
    return Upstream(LIMIT, jitter_s=JITTER_S)


@pytest.fixture
async def http(upstream: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(upstream) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client


async def test_it_answers_and_prices_what_the_limit_permits_and_says_429_beyond(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post(f"/calls/{number}") for number in range(14)))

    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [429] * 3
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
    assert next(answer.json() for answer in answers if answer.status_code == 200)["price_eur"] == 0.002
    assert (await http.get("/stats")).json() == {"calls": 14, "accepted": 11, "refused": 3, "answered": 11, "price_eur": 0.022}


async def test_a_call_whose_caller_hangs_up_is_paid_but_not_answered(
    http: httpx.AsyncClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CALL_S", 30)
    call = asyncio.create_task(http.post("/calls/7", headers={"x-caller": "me"}))
    await eventually(lambda: upstream.under_way("me"))
    call.cancel()
    await eventually(lambda: not upstream.under_way("me"))

    assert upstream.answers(7) == 0
    assert upstream.price_eur == 0.002


async def test_other_addresses_are_not_found(http: httpx.AsyncClient, upstream: Upstream) -> None:
    assert [(await http.post("/calls/")).status_code, (await http.post("/calls/x")).status_code, (await http.get("/")).status_code] == [
        404
    ] * 3
    assert upstream.accepted == 0
