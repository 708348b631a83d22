"""Batches as lines: read and answered as they come, and a bad line costs that line."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from runner import Runner, Worker, load_settings
from runner.http import create_app, ndjson
from runner.http.ndjson import MOST_LINE_BYTES, cut
from tests.eventually import eventually
from tests.http.conftest import Service
from tests.http.test_batch import add, stored
from tests.http.test_keys import made
from tests.http.uvicorn_server import serving
from tests.servers import Server

PATH = "/v1/jobs/batch"
HEADERS = {"Content-Type": "application/x-ndjson"}
HEAD = b"POST /v1/jobs/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"


def text(lines: Iterable[Any]) -> bytes:
    return b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)


async def submit(service: Service, lines: Iterable[Any]) -> list[dict[str, Any]]:
    answer = await service.http.post(PATH, content=text(lines), headers=HEADERS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_each_line_is_a_job_with_a_line_of_the_answer(service: Service, worker: Worker) -> None:
    answers = await submit(service, [add(1, id="x"), add(2), {"task": "add", "args": {"left": 3}, "delay": 60}])
    assert answers[0] == {"line": 1, "id": "x", "task": "add", "state": "queued", "created": True}
    assert [(answer["line"], answer["state"]) for answer in answers] == [(1, "queued"), (2, "queued"), (3, "scheduled")]
    assert 55 < answers[2]["eta_s"] <= 60
    ended = await service.http.get(f"/v1/jobs/{answers[1]['id']}", params={"wait": 20})
    assert ended.json()["result"] == 3


async def test_many_more_than_a_batch_holds_are_stored_in_order(service: Service, redis: Redis, queue: str) -> None:
    answers = await submit(service, [add(number, id=f"n{number}") for number in range(5000)])
    assert [(answer["line"], answer["id"]) for answer in answers] == [(number + 1, f"n{number}") for number in range(5000)]
    assert await stored(redis, queue) == 5000


async def test_a_bad_line_costs_that_line_alone(service: Service, redis: Redis, queue: str) -> None:
    await service.submit("add", args={"left": 9}, id="taken")
    bad = {
        b"{\n": "invalid-json",
        b'"text"\n': "validation",
        b'{"task": "add", "task": "add"}\n': "duplicate-key",
        b'{"task": "add", "args": {"left": NaN}}\n': "invalid-number",
        b"\xff\n": "invalid-encoding",
        b"[" * 200 + b"]" * 200 + b"\n": "json-too-deep",
        b'{"task": "add", "prio": 1}\n': "validation",
        b'{"task": "add", "args": {"left": "one"}}\n': "validation",
        b'{"task": "chrage"}\n': "unknown-task",
        b'{"task": "add", "args": {"left": 1}, "id": "a b"}\n': "invalid-id",
        b'{"task": "add", "args": {"left": 1}, "id": "taken"}\n': "id-conflict",
        b'{"task": "scarce", "cost": {"slow": 3}}\n': "exceeds-capacity",
        b" " * (ndjson.MOST_LINE_BYTES + 1) + b"\n": "body-too-large",
        b"x" * (3 * ndjson.MOST_LINE_BYTES) + b"\n": "body-too-large",
    }
    lines = [part for number, line in enumerate(bad) for part in (add(number), line)]
    answers = await submit(service, lines)
    assert [answer["line"] for answer in answers] == list(range(1, len(lines) + 1))
    assert ["problem" in answer for answer in answers] == [False, True] * len(bad)
    assert [answer["problem"]["type"] for answer in answers[1::2]] == [f"/problems/{kind}" for kind in bad.values()]
    assert await stored(redis, queue) == len(bad) + 1


async def test_empty_lines_and_a_last_line_without_its_end_are_fine(service: Service) -> None:
    lines = [b"\n", b"  \r\n", json.dumps(add(1)).encode() + b"\r\n", b"\n", json.dumps(add(2)).encode()]
    assert [answer["line"] for answer in await submit(service, lines)] == [3, 5]
    assert await submit(service, []) == []


async def test_a_repeat_finds_the_jobs_of_its_ids(service: Service) -> None:
    lines = [add(1, id="x"), add(2, id="y"), add(1, id="x")]
    assert [answer["created"] for answer in await submit(service, lines)] == [True, True, False]
    assert [answer["created"] for answer in await submit(service, lines)] == [False] * 3


async def test_lines_are_answered_while_more_are_sent(service: Service) -> None:
    url = httpx.URL(service.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(HEAD)
    for name in ("first", "second"):
        writer.write(chunk(text([add(1, id=name)])))
        assert f'"{name}"'.encode() in await reader.readuntil(b'"created":true}')
    writer.write(chunk(b""))
    assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
    writer.close()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_caller_who_reads_only_at_the_end_may_send_many_thousands(service: Service, redis: Redis, queue: str) -> None:
    answers = await submit(service, [add(number) for number in range(20_000)])
    assert len(answers) == 20_000
    assert await stored(redis, queue) == 20_000


async def test_a_caller_who_never_reads_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "LONGEST_SEND_S", 0.2)
    url = httpx.URL(service.url)
    _, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    writer.write(HEAD)

    async def send() -> None:
        while True:
            writer.write(chunk(b"{\n" * 10_000))
            await writer.drain()

    sending = asyncio.create_task(send())
    await eventually(lambda: any("LinesAnswer" in repr(task) for task in asyncio.all_tasks()))
    await eventually(lambda: not any("LinesAnswer" in repr(task) for task in asyncio.all_tasks()))
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.transport.abort()  # what it has not sent would keep it open


async def test_a_stop_answers_what_it_has_stored_and_says_where_it_ended(service: Service, app: Runner) -> None:
    url = httpx.URL(service.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(HEAD)
    writer.write(chunk(text([add(1, id="first")])))
    said = await reader.readuntil(b'"first"')
    assert b"200 OK" in said
    service.stopping.set()
    rest = await reader.read()
    assert b'{"unread_from":2,"problem":{"type":"/problems/store-unavailable"' in rest
    assert rest.endswith(b"0\r\n\r\n")
    writer.close()


async def test_while_redis_is_away_the_rest_is_not_read(private_server: Server) -> None:
    jobs = Runner("shop", settings=load_settings(redis_url=private_server.url, command_timeout_s=0.5))

    @jobs.task
    async def add(left: int) -> int:
        return left

    await jobs.submit_many([])
    async with serving(create_app(jobs)) as http:
        lines = text({"task": "add", "args": {"left": number}} for number in range(250))
        assert (await http.post(PATH, content=lines, headers=HEADERS)).text.count('"queued"') == 250
        await asyncio.to_thread(private_server.stop)
        answers = [json.loads(line) for line in (await http.post(PATH, content=lines, headers=HEADERS)).text.splitlines()]
        await asyncio.to_thread(private_server.start)
    assert {answer["problem"]["type"] for answer in answers} == {"/problems/store-unavailable"}
    assert [answer.get("line") for answer in answers] == [*range(1, 101), None]
    assert answers[-1]["unread_from"] == 101
    await jobs.close()


async def test_a_compressed_body_and_a_key_are_refused_before_anything_is_read(service: Service) -> None:
    compressed = await service.http.post(PATH, content=b"x", headers=HEADERS | {"Content-Encoding": "gzip"})
    assert (compressed.status_code, compressed.json()["type"]) == (415, "/problems/unsupported-media-type")
    keyed = await service.http.post(PATH, content=text([add(1)]), headers=HEADERS | {"Idempotency-Key": '"a"'})
    assert (keyed.status_code, keyed.json()["type"]) == (400, "/problems/invalid-idempotency-key")


async def test_lines_are_within_what_the_key_may_do(app: Runner, service: Service) -> None:
    key = await made(app, "producer", tasks=["add"], tenant="t7")
    lines = [add(1, id="x"), {"task": "echo", "args": {"value": 1}}, add(2, id="t8/x"), add(3, id="y")]
    answer = await service.http.post(PATH, content=text(lines), headers=HEADERS | key)
    answers = [json.loads(line) for line in answer.text.splitlines()]
    assert [one.get("id") for one in answers] == ["x", None, None, "y"]
    assert [one["problem"]["type"] for one in answers[1:3]] == ["/problems/forbidden", "/problems/invalid-id"]
    assert await app.client.statuses(["x", "y"]) == [None, None]
    assert [status is not None for status in await app.client.statuses(["t7/x", "t7/y"])] == [True, True]


async def test_each_line_takes_a_token_of_the_rate_of_its_key(app: Runner, service: Service) -> None:
    key = await made(app, "producer", rate="20/h")

    async def send(count: int) -> list[dict[str, Any]]:
        answer = await service.http.post(PATH, content=text(add(number) for number in range(count)), headers=HEADERS | key)
        return [json.loads(line) for line in answer.text.splitlines()]

    assert [answer["line"] for answer in await send(10)] == list(range(1, 11))
    (refused,) = await send(15)
    assert (refused["unread_from"], refused["problem"]["type"]) == (1, "/problems/too-many-requests")
    (too_many,) = await send(30)
    assert (too_many["unread_from"], too_many["problem"]["type"]) == (1, "/problems/exceeds-capacity")


@pytest.mark.parametrize(
    ("lengths", "portions"),
    [([10] * 250, [100, 100, 50]), ([40_000] * 3, [1, 1, 1]), ([MOST_LINE_BYTES, 1, 1], [1, 2]), ([1, MOST_LINE_BYTES - 1], [2]), ([], [])],
)
def test_what_is_read_at_once_has_few_lines_and_few_bytes(lengths: list[int], portions: list[int]) -> None:
    texts = [bytearray(length) for length in lengths]

    cuts = list(cut(texts))

    assert [len(portion) for portion in cuts] == portions
    assert [text for portion in cuts for text in portion] == texts


@pytest.mark.parametrize("body", [b"\n" * 30, b" \n" * 30, b"x" * 2_000_000, b"\n" * 10 + b"x" * 1_000_000])
async def test_lines_that_are_empty_or_too_long_are_not_free(app: Runner, service: Service, body: bytes) -> None:
    key = await made(app, "producer", rate="20/h")

    async def in_parts() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 70_000):
            yield body[at : at + 70_000]

    answer = await service.http.post(PATH, content=in_parts(), headers=HEADERS | key)
    last = json.loads(answer.text.splitlines()[-1])
    assert last["problem"]["type"] in ("/problems/too-many-requests", "/problems/exceeds-capacity")


async def test_the_end_of_the_last_line_begins_no_other(app: Runner, service: Service) -> None:
    key = await made(app, "producer", rate="3/h")
    answer = await service.http.post(PATH, content=text([add(1), add(2), add(3)]), headers=HEADERS | key)
    assert [json.loads(line)["line"] for line in answer.text.splitlines()] == [1, 2, 3]
