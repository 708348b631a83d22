"""Results that are larger than an answer: the job says so, and its result comes alone, part by part, however slowly it is read."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from runner import Client, JobHandle, RawResult, Runner, StoreUnavailable, load_settings
from runner.client import results_in_hand
from runner.errors import NoResult
from runner.http import router
from runner.jobs import OtherJob, State
from runner.store import JobStore, RetryRefusal
from runner.store.keys import Keys
from tests.http.conftest import Gate, Service, serving, working

MOST = 100_000
LARGE = 12_000_000


@pytest.fixture
async def app(redis_url: str, queue: str, gate: Gate) -> AsyncIterator[Runner]:
    """Tasks with results of any size, and a worker."""
    app = Runner(queue, settings=load_settings(redis_url=redis_url, http_max_result_bytes=MOST, drain_s=1.0))
    attempts: list[int] = []

    @app.task
    async def write(size: int) -> str:
        return "é" * (size // 2)

    @app.task
    async def nothing() -> None: ...

    @app.task(retries=0)
    async def broken(size: int = 0) -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("no")
        return "x" * size

    @app.task
    async def held(size: int) -> str:
        gate.started.set()
        await gate.open.wait()
        return "x" * size

    async with working(app):
        yield app
    await app.close()


async def written(service: Service, size: int) -> str:
    """A job that has ended."""
    job_id = await service.submit("write", args={"size": size})
    await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 20})
    return job_id


def problem_in(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


@pytest.mark.parametrize("query", ["", "?wait=20", "?explain=1", "?wait=20&explain=1"])
async def test_a_job_with_a_result_that_is_too_large_says_its_size_and_the_way_to_it(service: Service, query: str) -> None:
    job_id = await written(service, LARGE)

    answer = await service.http.get(f"/v1/jobs/{job_id}{query}")

    assert problem_in(answer) == (413, "result-too-large")
    assert f"has {LARGE + 2} bytes of JSON" in answer.json()["detail"]
    assert str(MOST) in answer.json()["detail"]
    assert f"/v1/jobs/{job_id}?result=raw" in answer.json()["detail"]


@pytest.mark.parametrize("size", [1_000, 32_000, 33_000, MOST - 2])
@pytest.mark.parametrize("query", ["", "?wait=20", "?explain=1"])
async def test_a_result_is_in_the_answer_whether_it_is_read_or_passed_on_as_it_is_stored(service: Service, size: int, query: str) -> None:
    job_id = await written(service, size)

    answer = await service.http.get(f"/v1/jobs/{job_id}{query}")

    document = answer.json()
    assert (document["result"], document["result_bytes"]) == ("é" * (size // 2), size + 2)
    assert list(document).count("result") == 1
    assert (document["id"], document["args"], document["state"]) == (job_id, {"size": size}, "succeeded")
    if not query:
        again = await service.http.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


async def test_a_result_that_is_gone_as_the_job_runs_again_is_none(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await written(service, 50_000)

    async def none(self: JobHandle[Any]) -> RawResult:
        raise NoResult(f"job {self.id} has no result")

    monkeypatch.setattr(JobHandle, "raw_result", none)
    answer = await service.http.get(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.json()["result"]) == (200, None)


async def test_the_largest_result_that_is_shown_has_just_so_many_bytes(app: Runner) -> None:
    for most in (MOST, 1_000):
        async with serving(app.settings.model_copy(update={"http_max_result_bytes": most}), app.queue) as bounded:
            shown, left_out = [await written(bounded, size) for size in (most - 2, most)]

            assert len((await bounded.http.get(f"/v1/jobs/{shown}")).json()["result"]) == (most - 2) // 2
            for query in ("", "?wait=20"):
                assert problem_in(await bounded.http.get(f"/v1/jobs/{left_out}{query}")) == (413, "result-too-large")


@pytest.mark.parametrize("size", [0, MOST, 3_000_000, LARGE])
async def test_a_raw_result_is_what_is_stored(service: Service, redis: Redis, queue: str, size: int) -> None:
    job_id = await written(service, size)

    answer = await service.http.get(f"/v1/jobs/{job_id}", params={"result": "raw"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.content == await redis.hget(Keys(queue).job(job_id), "result")
    assert answer.json() == "é" * (size // 2)


async def test_no_result_is_null_once_a_job_has_succeeded(service: Service) -> None:
    job_id = await service.submit("nothing")

    assert (await service.http.get(f"/v1/jobs/{job_id}", params={"result": "raw", "wait": 20})).text == "null"


async def test_a_raw_result_is_waited_for(service: Service, gate: Gate) -> None:
    job_id = await service.submit("held", args={"size": LARGE})
    await gate.started.wait()
    path = f"/v1/jobs/{job_id}?result=raw"
    early = [await service.http.get(path), await service.http.get(f"{path}&wait=0.1")]
    waiting = asyncio.create_task(service.http.get(f"{path}&wait=30"))
    await asyncio.sleep(0.1)
    gate.open.set()

    assert [problem_in(answer) for answer in early] == [(409, "no-result")] * 2
    assert f"job '{job_id}' is running: it has no result before its end" in early[0].json()["detail"]
    assert len((await waiting).json()) == LARGE


async def test_what_has_no_raw_result_is_a_problem_that_says_why(service: Service) -> None:
    failed = await service.submit("broken", id="failed")
    assert (await service.http.get(f"/v1/jobs/{failed}?wait=20")).json()["state"] == "failed"
    asked = {
        "failed?result=raw": (409, "no-result"),
        "failed?result=raw&wait=20": (409, "no-result"),
        "nobody?result=raw": (404, "not-found"),
        "nobody?result=raw&wait=20": (404, "not-found"),
        "no!id?result=raw": (422, "invalid-id"),
        "failed?result=json": (422, "validation"),
        "failed?result=": (422, "validation"),
        "failed?result=raw&explain=1": (422, "validation"),
    }

    answers = {path: await service.http.get(f"/v1/jobs/{path}") for path in asked}

    assert {path: problem_in(answer) for path, answer in answers.items()} == asked
    assert "job 'failed' is failed: it ended without a result" in answers["failed?result=raw"].json()["detail"]


async def test_a_change_of_a_job_is_answered_without_a_result_that_is_too_large(
    service: Service, app: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await service.submit("broken", args={"size": LARGE})
    assert (await service.http.get(f"/v1/jobs/{job_id}?wait=20")).json()["state"] == "failed"
    retry = JobStore.retry

    async def until_it_has_ended(store: JobStore, job_id: str, *, ignore_parents: bool) -> State | OtherJob | RetryRefusal | None:
        state = await retry(store, job_id, ignore_parents=ignore_parents)
        await app.client.wait(job_id)
        return state

    monkeypatch.setattr(JobStore, "retry", until_it_has_ended)
    answer = await service.http.post(f"/v1/jobs/{job_id}/retry")

    assert (answer.status_code, answer.json()["state"], answer.json()["result"]) == (200, "succeeded", None)
    assert answer.json()["problem"]["type"] == "/problems/result-too-large"
    assert str(LARGE + 2) in answer.json()["problem"]["detail"]


async def test_who_reads_slowly_holds_one_part_and_nobody_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, small = await written(service, LARGE), await written(service, 10)
    monkeypatch.setattr(results_in_hand, "_MOST_HELD", 2 * LARGE + 100)
    read, held, stored_result = list[str](), list[int](), JobStore.stored_result
    make_room = results_in_hand.ResultsInHand._make_room_beside

    async def noted(store: JobStore, job_id: str) -> Any:
        read.append(job_id)
        return await stored_result(store, job_id)

    def measured(hand: results_in_hand.ResultsInHand, raw: results_in_hand.HeldResult) -> None:
        make_room(hand, raw)
        held.append(sum(one.size for one in hand._held if one.stored is not None))

    monkeypatch.setattr(JobStore, "stored_result", noted)
    monkeypatch.setattr(results_in_hand.ResultsInHand, "_make_room_beside", measured)
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as slow:
        streams = [slow.stream("GET", f"/v1/jobs/{job_id}", params={"result": "raw"}) for _ in range(5)]
        answers = [await stream.__aenter__() for stream in streams]
        others = [(await service.http.get(f"/v1/jobs/{small}?result=raw")).status_code for _ in range(20)]
        before = held.copy()
        bodies = [await answer.aread() for answer in answers]
        for stream in streams:
            await stream.__aexit__(None, None, None)

    assert others == [200] * 20
    assert [len(json.loads(body)) for body in bodies] == [LARGE // 2] * 5
    assert len(before) < len(held), "everything was read before anybody took it"
    assert max(held) <= 2 * LARGE + 100
    assert 5 < read.count(job_id) <= 5 * 8


@pytest.mark.parametrize("why", ["expired", "run again", "away"])
async def test_a_raw_result_that_cannot_be_read_to_its_end_ends_the_connection(
    service: Service, redis: Redis, queue: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    job_id, stored_result = await written(service, LARGE), JobStore.stored_result
    asked: list[str] = []

    async def then_gone(store: JobStore, job_id: str) -> Any:
        asked.append(job_id)
        if len(asked) > 1 and why == "away":
            raise StoreUnavailable("gone")
        if len(asked) > 1 and why == "run again":
            await redis.hset(Keys(queue).job(job_id), "finished", "1")
        elif len(asked) > 1:
            await redis.delete(Keys(queue).job(job_id))
        return await stored_result(store, job_id)

    async def given_way(hand: results_in_hand.ResultsInHand, raw: results_in_hand.HeldResult) -> bytes:
        data = await data_of(hand, raw)
        raw.stored = None
        return data

    data_of = results_in_hand.ResultsInHand.data_of
    monkeypatch.setattr(JobStore, "stored_result", then_gone)
    monkeypatch.setattr(results_in_hand.ResultsInHand, "data_of", given_way)
    with caplog.at_level(logging.WARNING), pytest.raises(httpx.RemoteProtocolError):
        await service.http.get(f"/v1/jobs/{job_id}", params={"result": "raw"})

    assert f"the result of job {job_id} was sent in part only" in caplog.text
    assert "Traceback" not in caplog.text
    assert (await service.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("size", [LARGE, 2_000])
async def test_those_who_wait_for_one_job_get_what_each_takes(app: Runner, gate: Gate, size: int) -> None:
    client = app.client
    job = await client.submit("held", {"size": size})
    await gate.started.wait()
    waits: Sequence[asyncio.Task[Any]] = [asyncio.create_task(job.wait(20, most_result=most)) for most in (None, size + 1, 0, size + 2)]
    await asyncio.sleep(0.1)
    gate.open.set()

    whole, *_ = told = await asyncio.gather(*waits)

    assert [status.result_bytes for status in told] == [size + 2] * 4
    assert [status.result is None for status in told] == [False, True, True, False]
    assert whole.result == "x" * size
    assert (await job.status(most_result=size)).result is None
    raw = await job.raw_result()
    assert b"".join([part async for part in raw]) == json.dumps(whole.result).encode()


async def test_a_wait_rides_out_an_outage_that_comes_when_a_large_result_is_read(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    job, asked, get_heavy = await app.client.submit("write", {"size": LARGE}), list[str](), JobStore.get_heavy

    async def away_at_first(store: JobStore, job_id: str, most_result: int | None = None) -> Any:
        asked.append(job_id)
        if len(asked) < 3:
            raise StoreUnavailable("gone")
        return await get_heavy(store, job_id, most_result)

    monkeypatch.setattr(JobStore, "get_heavy", away_at_first)

    assert len(await job.result(timeout=20)) == LARGE // 2
    assert asked == [job.id] * 3


async def test_under_a_prefix_the_way_to_the_result_has_it(redis_url: str, app: Runner) -> None:
    site = FastAPI()
    site.include_router(router(app), prefix="/shop/queue")
    async with Client(app.queue, redis_url=redis_url) as client:
        job = await client.submit("write", {"size": LARGE})
        await job.wait(20, most_result=0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://shop") as http:
        answer = await http.get(f"/shop/queue/v1/jobs/{job.id}")
        raw = await http.get(answer.json()["detail"].partition("GET ")[2].partition(" ")[0])

    assert len(raw.json()) == LARGE // 2
