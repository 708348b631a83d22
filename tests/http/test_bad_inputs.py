"""Everything a caller can get wrong: each is answered by its own kind of problem, and never by a 500."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest
from redis.asyncio import Redis

from runner.http.bodies import MAX_BATCH_BYTES, MAX_BYTES, MOST_FAULTS
from runner.http.problem_kinds import KINDS
from tests.eventually import PATIENCE_S
from tests.http.conftest import Service
from tests.leftovers import keys_of

JSON = {"content-type": "application/json"}


class Bad(NamedTuple):
    """A request that cannot be served, the status and the kind of problem it is answered with, and a word its detail must have."""

    status: int
    kind: str
    said: str
    body: bytes | dict[str, Any] | None = None
    method: str = "POST"
    path: str = "/v1/jobs"
    headers: dict[str, str] = JSON

    def content(self) -> bytes:
        return json.dumps(self.body).encode() if isinstance(self.body, dict) else self.body or b""


def job(**fields: Any) -> dict[str, Any]:
    return {"task": "add", "args": {"left": 1}, **fields}


def with_args(text: bytes) -> bytes:
    return b'{"task": "echo", "args": {"value": %s}}' % text


BODIES = [
    Bad(400, "invalid-json", "empty", b""),
    Bad(400, "invalid-json", "line 1", b'{"task": "add"'),
    Bad(400, "invalid-json", "line 1", b"task=add"),
    Bad(400, "json-too-deep", "100", with_args(b"[" * 99 + b"]" * 99)),
    Bad(400, "json-too-deep", "100", with_args(b"[" * 45_000 + b"]" * 45_000)),
    Bad(400, "invalid-number", "NaN", with_args(b"NaN")),
    Bad(400, "invalid-number", "-Infinity", with_args(b"-Infinity")),
    Bad(400, "invalid-number", "1e400", with_args(b"1e400")),
    Bad(400, "invalid-number", "digits", with_args(b"9" * 5000)),
    Bad(400, "duplicate-key", "'task'", b'{"task": "add", "task": "echo"}'),
    Bad(400, "duplicate-key", "'a'", with_args(b'{"a": 1, "a": 2}')),
    Bad(400, "invalid-encoding", "surrogate", with_args(b'"\\ud800"')),
    Bad(400, "invalid-encoding", "UTF-8", with_args(b'"\xff"')),
    Bad(400, "invalid-encoding", "byte order mark", b"\xef\xbb\xbf" + with_args(b"1")),
    Bad(400, "invalid-encoding", "UTF-8", json.dumps(job()).encode("utf-16")),
    Bad(413, "body-too-large", str(MAX_BYTES), b" " * (MAX_BYTES + 1)),
    Bad(413, "body-too-large", str(MAX_BATCH_BYTES), b" " * (MAX_BATCH_BYTES + 1), path="/v1/jobs/batch"),
    Bad(415, "unsupported-media-type", "''", job(), headers={}),
    Bad(415, "unsupported-media-type", "text/plain", job(), headers={"content-type": "text/plain"}),
    Bad(403, "cross-site", "elsewhere", job(), headers={"content-type": "text/plain", "origin": "https://elsewhere.example"}),
    Bad(415, "unsupported-media-type", "form", b"task=add", headers={"content-type": "application/x-www-form-urlencoded"}),
    Bad(415, "unsupported-media-type", "utf-16", job(), headers={"content-type": "application/json; charset=utf-16"}),
    Bad(415, "unsupported-media-type", "gzip", job(), headers=JSON | {"content-encoding": "gzip"}),
    Bad(415, "unsupported-media-type", "a=b", job(), headers={"content-type": "application/json" + ";a=b" * 1_000}),
]

NOT_TEXT: list[Any] = [7, True, ["x"]]
NOT_A_PRIORITY: list[Any] = [0, -1, True, 1.5, "urgent", "", 10**400]
NOT_A_DELAY: list[Any] = [-1, -0.001, True, "5", [], 10**400]

FIELDS = [
    Bad(422, "validation", "object", b"[]"),
    Bad(422, "validation", "object", b"null"),
    Bad(422, "validation", "#/task", {}),
    Bad(422, "validation", "#/task", {"task": 7}),
    Bad(422, "validation", "#/args", job(args=[1])),
    Bad(422, "validation", "the fields are task, args, id", job(prio="high")),
    Bad(422, "validation", "#/prio~1rity%7F", job(**{"prio/rity\x7f": 1})),
    Bad(422, "validation", "left", job(args={})),
    Bad(422, "validation", "left", job(args={"left": "one"})),
    Bad(422, "validation", "middle", job(args={"left": 1, "middle": 2})),
    Bad(422, "unknown-task", "'chrage'", {"task": "chrage"}),
    Bad(422, "unknown-task", "add", {"task": "a\r\nX-Evil: 1\x1b[31m"}),
    Bad(422, "unknown-task", "'xxxx", {"task": "x" * 100_000}),
    Bad(422, "exceeds-capacity", "(2)", {"task": "scarce", "cost": {"slow": 3}}),
    Bad(422, "exceeds-capacity", "(2)", {"task": "scarce", "cost": {"slow": 10**400}}),
    Bad(422, "unknown-limit", "'fast'", {"task": "scarce", "cost": {"fast": 1}}),
    Bad(422, "validation", "#/cost", {"task": "scarce", "cost": {"slow": -1}}),
    Bad(422, "validation", "#/cost", {"task": "scarce", "cost": {"slow": 1.5}}),
    Bad(422, "validation", "#/cost", {"task": "scarce", "cost": {"slow": True}}),
    Bad(422, "validation", "tenant", {"task": "keyed", "args": {"tenant": None}}),
    *(Bad(422, "validation", "#/priority", job(priority=value)) for value in NOT_A_PRIORITY),
    *(Bad(422, "validation", "#/delay", job(delay=value)) for value in NOT_A_DELAY),
    *(Bad(422, "validation", "#/max_wait", job(max_wait=value)) for value in [*NOT_A_DELAY, 0]),
    Bad(422, "validation", "366 days", job(max_wait=1e9)),
    Bad(422, "run-at-out-of-range", "366 days", job(delay=1e9)),
    Bad(422, "run-at-out-of-range", "366 days", job(run_at="9999-12-31T23:59:59Z")),
    Bad(422, "run-at-out-of-range", "time zone", job(run_at="2026-01-01T00:00:00")),
    Bad(422, "validation", "#/run_at", job(run_at="tomorrow")),
    Bad(422, "validation", "#/run_at", job(run_at=1893456000)),
    Bad(422, "validation", "#/run_at", job(run_at="1893456000")),
    Bad(422, "validation", "#/run_at", job(run_at="2026-02-30T00:00:00Z")),
    Bad(422, "validation", "give one", job(delay=1, run_at="2030-01-01T00:00:00Z")),
    *(
        Bad(422, "invalid-id", "128 letters", job(id=value))
        for value in ("", "a b", "{x}", "a\r\nb", "a\x00", "../etc", "x" * 10_000, "é", "a/b")
    ),
    *(Bad(422, "validation", "#/id", job(id=value)) for value in NOT_TEXT),
    Bad(422, "batch-invalid", "job 1: ", {"jobs": [job(), job(args={"left": "x"})]}, path="/v1/jobs/batch"),
    Bad(413, "batch-invalid", "1000", {"jobs": [job()] * 1001}, path="/v1/jobs/batch"),
    Bad(422, "validation", "#/jobs", {"jobs": job()}, path="/v1/jobs/batch"),
    Bad(422, "validation", "the fields are jobs", {"jobs": [job()], "atomic": True}, path="/v1/jobs/batch"),
    Bad(422, "validation", "object", b"[]", path="/v1/jobs/batch"),
]

PATHS = [
    Bad(404, "not-found", "/nowhere", method="GET", path="/nowhere"),
    Bad(404, "not-found", "/v1/jobs/", method="GET", path="/v1/jobs/"),
    Bad(404, "not-found", "no job", method="GET", path="/v1/jobs/a%2Fb"),
    Bad(404, "not-found", "openapi", method="GET", path="/" + "x" * 10_000),
    Bad(404, "not-found", "'none'", method="GET", path="/v1/jobs/none"),
    Bad(404, "not-found", "'none'", method="DELETE", path="/v1/jobs/none"),
    Bad(422, "invalid-id", "128 letters", method="GET", path="/v1/jobs/%7Bx%7D"),
    Bad(400, "invalid-path", "%0A", method="DELETE", path="/v1/jobs/%0d%0aX:1"),
    Bad(400, "invalid-path", "%0A", method="GET", path="/v1/jobs/%ff%00"),
    Bad(400, "invalid-path", "%0A", method="GET", path="/healthz%0A"),
    Bad(405, "method-not-allowed", "PUT", method="PUT", path="/v1/jobs"),
    Bad(422, "validation", "most", method="GET", path="/v1/jobs?most=0"),
    Bad(405, "method-not-allowed", "OPTIONS", method="OPTIONS", path="/v1/jobs"),
    Bad(405, "method-not-allowed", "POST", method="POST", path="/v1/jobs/x"),
    Bad(405, "method-not-allowed", "POST", method="POST", path="/healthz"),
    *(
        Bad(422, "validation", "wait", method="GET", path=f"/v1/jobs/none?wait={value}")
        for value in ("-1", "61", "nan", "inf", "1e999", "soon", "", "9" * 5000, "%00")
    ),
]


async def chunked(content: bytes) -> AsyncIterator[bytes]:
    """The content without its length."""
    for start in range(0, len(content), 65536):
        yield content[start : start + 65536]


async def send(service: Service, bad: Bad, *, in_chunks: bool = False) -> httpx.Response:
    content = chunked(bad.content()) if in_chunks else bad.content()
    return await service.http.request(bad.method, bad.path, content=content, headers=bad.headers)


def wrong(bad: Bad, answer: httpx.Response) -> str:
    """What is wrong with an answer; nothing is well."""
    told = f"{bad.method} {bad.path[:60]} {bad.content()[:80]!r} -> {answer.status_code} {answer.text[:300]}"
    if (answer.status_code, answer.headers.get("content-type")) != (bad.status, "application/problem+json"):
        return told
    problem = answer.json()
    complete = problem["type"] == f"/problems/{bad.kind}" and problem["title"] == KINDS[bad.kind].title and problem["status"] == bad.status
    short = len(answer.content) < 20_000 and len(problem["detail"]) <= 1000
    silent = not any(word in answer.text for word in ("Traceback", "File \\", "redis", "runner:{", "pydantic"))
    clean = not any(byte < 0x20 or byte == 0x7F for byte in answer.content)
    closed = not any(name.startswith("access-control-") or name == "x-evil" for name in answer.headers)
    return "" if complete and short and silent and clean and closed and bad.said in problem["detail"] else told


async def test_every_bad_body_and_field_is_its_own_problem_and_stores_nothing(service: Service, redis: Redis, queue: str) -> None:
    answers = [(bad, await send(service, bad)) for bad in BODIES + FIELDS]
    assert [told for bad, answer in answers if (told := wrong(bad, answer))] == []
    assert [answer.status_code for _, answer in answers if answer.status_code >= 500] == []
    assert [key for key in await keys_of(redis, queue) if ":job:" in key] == []


async def test_a_body_without_its_length_is_judged_the_same(service: Service) -> None:
    answers = [(bad, await send(service, bad, in_chunks=True)) for bad in BODIES]
    assert [told for bad, answer in answers if (told := wrong(bad, answer))] == []


async def begin(service: Service, length: int, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with the beginning of a submission on it."""
    url = httpx.URL(service.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % length + body
    )
    return reader, writer


async def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(service: Service) -> None:
    reader, writer = await begin(service, MAX_BYTES + 1, b"")
    async with asyncio.timeout(PATIENCE_S):
        assert b" 413 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_never_ends_is_no_error_of_the_service(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        _, writer = await begin(service, 1000, b'{"task": "add"')
        await service.http.get("/healthz")
        writer.close()
        await writer.wait_closed()
    service.stopping.set()
    await asyncio.wait({service.task}, timeout=PATIENCE_S)
    assert service.task.done()
    assert caplog.text == ""


async def test_every_bad_path_is_its_own_problem(service: Service) -> None:
    answers = [(bad, await send(service, bad)) for bad in PATHS]
    assert [told for bad, answer in answers if (told := wrong(bad, answer))] == []


async def test_a_method_that_is_not_allowed_is_told_the_others(service: Service) -> None:
    for path, methods in {"/healthz": "GET", "/v1/jobs/x": "DELETE, GET", "/v1/jobs": "GET, POST"}.items():
        assert (await service.http.put(path)).headers["allow"] == methods


@pytest.mark.parametrize("encodings", [["identity", "gzip"], ["gzip", "identity"], ["", "br"]])
async def test_no_second_field_hides_what_a_body_is(service: Service, encodings: list[str]) -> None:
    body = json.dumps(job()).encode()
    fields = [("content-type", "application/json"), *(("content-encoding", encoding) for encoding in encodings)]
    answer = await service.http.post("/v1/jobs", content=body, headers=fields)
    assert answer.status_code == 415
    answer = await service.http.post(
        "/v1/jobs", content=body, headers=[("content-type", "text/plain"), ("content-type", "application/json")]
    )
    assert answer.status_code == 415


async def test_numbers_of_thousands_of_digits_are_never_an_error_of_the_service(service: Service) -> None:
    number = "9" * 4200
    for text in (
        '{"task": "echo", "args": {"value": %s}}',
        '{"task": "add", "args": {"left": %s}}',
        '{"task": "add", "args": {"left": 1}, "delay": %s}',
        '{"task": "add", "args": {"left": 1}, "max_wait": %s}',
        '{"task": "add", "args": {"left": 1}, "priority": %s}',
        '{"task": "scarce", "cost": {"slow": %s}}',
        '{"task": %s}',
    ):
        answer = await service.http.post("/v1/jobs", content=text % number, headers=JSON)
        assert answer.status_code in (202, 400, 422), text
        assert len(answer.content) < 2_000
    for path in ("/v1/limits/slow", "/v1/limits/slow/freeze"):
        for field in ("capacity", "duration", "every"):
            body = f'{{"{field}": {number}}}'
            method = "PUT" if path.endswith("slow") else "POST"
            answer = await service.http.request(method, path, content=body, headers=JSON)
            assert answer.status_code in (400, 422), (path, field)


async def test_a_large_body_within_its_limit_is_accepted(service: Service) -> None:
    value = "x" * (MAX_BYTES - 100)
    job_id = await service.submit("echo", args={"value": value})
    assert (await service.http.get(f"/v1/jobs/{job_id}")).json()["args"]["value"] == value
    jobs = [{"task": "echo", "args": {"value": "x" * (MAX_BYTES - 200)}}] * 8
    answer = await service.http.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 202


async def test_what_is_unusual_but_right_is_accepted(service: Service) -> None:
    body = json.dumps(job()).encode()
    for media_type in ("application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"'):
        answer = await service.http.post("/v1/jobs", content=body, headers={"content-type": media_type})
        assert answer.status_code == 202, media_type
    for fields in ({"delay": 0}, {"delay": 0.5}, {"delay": 5}, {"id": None, "priority": None, "delay": None, "run_at": None, "cost": None}):
        answer = await service.http.post("/v1/jobs", json=job(**fields))
        assert answer.status_code == 202, fields
    answer = await service.http.post("/v1/jobs", content=with_args(b"[" * 98 + b"]" * 98), headers=JSON)
    assert answer.status_code == 202


async def test_the_faults_of_a_body_are_listed_with_their_places(service: Service) -> None:
    answer = await service.http.post("/v1/jobs", json={"args": [], "delay": -1, "extra": 1})
    problem = answer.json()
    assert {fault["pointer"] for fault in problem["errors"]} == {"#/task", "#/args", "#/delay", "#/extra"}
    assert "and 3 more" in problem["detail"]
    answer = await service.http.post("/v1/jobs/batch", json={"jobs": [{"task": 1}] * 1000})
    assert len(answer.json()["errors"]) == 10
    answer = await service.http.get("/v1/jobs/x", params={"wait": -1})
    assert [fault["parameter"] for fault in answer.json()["errors"]] == ["wait"]


async def test_a_body_with_thousands_of_faults_is_told_their_number_alone(service: Service) -> None:
    answer = await service.http.post(
        "/v1/jobs", json={"task": "add", "unique": {f"field-{number}": 1 for number in range(MOST_FAULTS + 1)}}
    )

    assert answer.status_code == 422
    assert re.search(r"the body has 10\d\d faults", answer.json()["detail"])
    assert "errors" not in answer.json()
