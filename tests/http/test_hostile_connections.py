"""Connections that send too much, too slowly or nothing at all: each ends, with a problem where one can be told, and others are served."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from runner import Runner
from runner.http import connections, protocol
from runner.http.connections import Connections
from runner.http.protocol import MOST_FIELDS, MOST_HEAD_BYTES, MOST_PIPELINED
from tests.eventually import PATIENCE_S, eventually
from tests.http.conftest import Service, serving
from tests.http.raw import HOST, Raw, connected
from tests.http.test_jobs import waits_of_requests

GET = b"GET /healthz HTTP/1.1\r\n" + HOST
MOST = 20


@pytest.fixture
async def impatient(app: Runner, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service that soon gives a caller up, and takes few connections."""
    for name in ("HEAD_S", "IDLE_S", "STALL_S"):
        monkeypatch.setattr(protocol, name, 0.5)
    monkeypatch.setattr(connections, "MOST", MOST)
    async with serving(app.settings, app.queue) as service:
        yield service


def problem_in(answer: bytes) -> tuple[int, str]:
    """Status and kind of an answer that must be a problem."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    assert b"connection: close" in head.lower()
    document = json.loads(body)
    assert document["status"] == int(head.split()[1])
    return document["status"], document["type"].rpartition("/")[2]


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (GET + b"X: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n", 431, "head-too-large"),
        (GET + b"X: " + b"x" * 20 * MOST_HEAD_BYTES, 431, "head-too-large"),
        (b"GET /" + b"x" * 20 * MOST_HEAD_BYTES, 431, "head-too-large"),
        (GET + b"X: 1\r\n" * MOST_FIELDS + b"\r\n", 431, "head-too-large"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "malformed-request"),
        (GET + HOST + b"\r\n", 400, "malformed-request"),
        (b"hello\r\n\r\n", 400, "malformed-request"),
        (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-request"),
        (GET + b"Content-Length: x\r\n\r\n", 400, "malformed-request"),
        (b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed-request"),
    ],
)
async def test_what_is_no_request_is_answered_with_a_problem(service: Service, sent: bytes, status: int, kind: str) -> None:
    async with connected(service.url) as raw:
        raw.send(sent)
        assert problem_in(await raw.rest()) == (status, kind)
    assert (await service.http.get("/healthz")).status_code == 200


CHUNKED = b"POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + HOST
JOB = b'{"task": "add", "args": {"left": 1}}'
A_CHUNK = b"%x\r\n%b\r\n" % (len(JOB), JOB)


async def test_what_trails_a_body_is_no_field_of_the_head(service: Service) -> None:
    """Of a proxy that takes fields out of heads, as the name of a user: who sends them after the body would have its word."""
    trailing = b'Host: elsewhere\r\nIdempotency-Key: "x"\r\nContent-Encoding: gzip\r\n'
    async with connected(service.url) as raw:
        raw.send(CHUNKED + b"Connection: close\r\n\r\n" + A_CHUNK + b"0\r\n" + trailing + b"\r\n")
        answer = await raw.rest()
    assert answer.startswith(b"HTTP/1.1 202"), answer
    assert b"idempotency:" not in answer


@pytest.mark.parametrize("beside", [b"0\r\n" + b"X: y\r\n" * 20_000, b"0\r\nX: ", b"1;"], ids=["fields", "a field", "an extension"])
async def test_what_comes_with_a_body_has_an_end(service: Service, beside: bytes) -> None:
    async with connected(service.url) as raw:
        raw.send(CHUNKED + b"\r\n" + A_CHUNK)
        await asyncio.sleep(0)
        raw.send(beside)
        for _ in range(100):
            raw.send(b"x: y\r\n" * 1_000 if beside.startswith(b"0\r\n") and beside.endswith(b"\n") else b"x" * 6_000)
            try:
                await raw.writer.drain()
            except ConnectionError:
                break
        assert problem_in(await raw.rest()) == (431, "head-too-large")


async def test_a_body_in_chunks_of_one_byte_is_read(service: Service) -> None:
    async with connected(service.url) as raw:
        body = b'{"task": "add", "args": {"left": 1}' + b" " * 50_000 + b"}"
        raw.send(CHUNKED + b"Connection: close\r\n\r\n")
        for begin in range(0, len(body), 1_000):
            raw.send(b"".join(b"1\r\n%c\r\n" % byte for byte in body[begin : begin + 1_000]))
            await raw.writer.drain()
        raw.send(b"0\r\n\r\n")
        assert (await raw.rest()).startswith(b"HTTP/1.1 202")


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"


@pytest.mark.parametrize("protocol_name", [b"h2c", b"websocket"])
async def test_a_request_that_offers_another_protocol_is_served_with_its_body(service: Service, protocol_name: bytes) -> None:
    """Java's HttpClient offers HTTP/2 with its first request."""
    post = b"POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(JOB) + HOST
    offer = UPGRADE.replace(b"h2c", protocol_name)
    last = GET + b"Connection: close\r\n\r\n"
    for parts in ([post + offer + b"\r\n" + JOB + post + b"\r\n" + JOB + last], [post + offer + b"\r\n", JOB, GET + offer + b"\r\n", last]):
        async with connected(service.url) as raw:
            for part in parts:
                raw.send(part)
                await raw.writer.drain()
                await asyncio.sleep(0.01)
            answers = await raw.rest()
        assert re.findall(rb"HTTP/1\.1 ([0-9]+) ", answers) in (
            [b"202", b"202", b"200"],
            [b"202", b"200", b"200"],
        ), answers


async def test_a_tunnel_is_no_request_of_the_service(service: Service) -> None:
    async with connected(service.url) as raw:
        raw.send(b"CONNECT elsewhere:443 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert (await raw.rest()).split()[1] in (b"400", b"404", b"405", b"421")


async def test_a_head_of_many_fields_within_the_limits_is_served(service: Service) -> None:
    async with connected(service.url) as raw:
        raw.send(GET + b"X: %s\r\n" % (b"x" * 500) * (MOST_FIELDS - 1) + b"\r\n")
        assert await raw.status() == 200


async def test_what_came_before_counts_for_no_head(service: Service) -> None:
    body = json.dumps({"task": "echo", "args": {"value": "x" * 300_000}}).encode()
    post = b"POST /v1/jobs HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (HOST, len(body))
    async with connected(service.url) as raw:
        for _ in range(2):
            raw.send(post + body)
            assert await raw.status() == 202
            await raw.reader.readuntil(b"}")
            for part in (b"GET /healthz HT", b"TP/1.1\r\nHost: loc", b"alhost\r\n\r\n"):
                raw.send(part)
                await raw.writer.drain()
                await service.http.get("/healthz")
            assert await raw.status() == 200
            await raw.reader.readuntil(b"}")


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"", "request-timeout"),
        (b"GET /healthz HTTP/1.1\r\nHost", "request-timeout"),
        (b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{", "request-timeout"),
    ],
)
async def test_a_request_that_does_not_come_is_given_up(impatient: Service, sent: bytes, kind: str) -> None:
    async with connected(impatient.url) as raw:
        raw.send(sent)
        assert problem_in(await raw.rest()) == (408, kind)


async def test_bytes_that_are_no_request_keep_no_connection_open(impatient: Service) -> None:
    async with connected(impatient.url) as raw:
        raw.send(GET + b"\r\n")
        assert await raw.status() == 200
        closed = asyncio.ensure_future(raw.rest())
        async with asyncio.timeout(PATIENCE_S):
            while not closed.done():
                raw.send(b"\r\n")
                await asyncio.wait({closed}, timeout=0.1)


async def test_the_rest_of_a_body_that_nobody_reads_keeps_no_connection_open(impatient: Service) -> None:
    async with connected(impatient.url) as raw:
        raw.send(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
        assert await raw.status() == 404
        closed = asyncio.ensure_future(raw.rest())
        async with asyncio.timeout(PATIENCE_S):
            while not closed.done():
                raw.send(b"x")
                await asyncio.wait({closed}, timeout=0.1)


async def test_an_answer_that_is_not_fetched_is_given_up(impatient: Service) -> None:
    value = "x" * 1_000_000
    job_id = await impatient.submit("echo", args={"value": value})
    async with connected(impatient.url) as raw:
        raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(20):
            raw.send(b"GET /v1/jobs/%s HTTP/1.1\r\n%s\r\n" % (job_id.encode(), HOST))
        async with asyncio.timeout(PATIENCE_S):
            await gone(raw)


async def gone(raw: Raw) -> None:
    """Returns once the service has reset the connection, which a writer learns by writing."""
    while True:
        try:
            raw.send(b"\r\n")
            await raw.writer.drain()
            await asyncio.sleep(0.1)
        except ConnectionError:
            return


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTTP/1.1\r\nHost", b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n{"]
)
async def test_connections_that_wait_for_their_callers_keep_nobody_out(app: Runner, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", MOST)
    async with serving(app.settings, app.queue) as service, AsyncExitStack() as stack:
        for _ in range(3 * MOST):
            raw = await stack.enter_async_context(connected(service.url))
            raw.send(sent)
        for _ in range(5):
            async with connected(service.url) as raw:
                raw.send(GET + b"\r\n")
                assert await raw.status() == 200


async def test_waiting_requests_leave_half_of_the_connections_to_others(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", MOST)
    async with serving(app.settings, app.queue) as service, AsyncExitStack() as stack:
        job_id = await service.submit("held")
        polls = [await stack.enter_async_context(connected(service.url)) for _ in range(MOST + 5)]
        for raw in polls:
            raw.send(b"GET /v1/jobs/%s?wait=60 HTTP/1.1\r\n%s\r\n" % (job_id.encode(), HOST))
        refused = [asyncio.ensure_future(raw.status()) for raw in polls]
        await eventually(lambda: sum(answer.done() for answer in refused) >= MOST // 2 + 5)
        assert (await service.http.get(f"/v1/jobs/{job_id}")).status_code == 200
        assert {answer.result() for answer in refused if answer.done()} <= {0, 503}
        service.stopping.set()
        assert sum(status == 200 for status in await asyncio.gather(*refused)) == MOST // 2


async def test_requests_sent_ahead_are_few_and_leave_nothing_behind(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    job_id = await service.submit("held")
    async with connected(service.url) as raw:
        # The app still works on the first one when the connection is closed for the others.
        raw.send(b"GET /v1/jobs/%s?wait=60 HTTP/1.1\r\n%s\r\n" % (job_id.encode(), HOST))
        await eventually(lambda: waits_of_requests() == 1)
        raw.send((GET + b"\r\n") * (MOST_PIPELINED + 5))
        answers = await raw.rest()
    await eventually(lambda: waits_of_requests() == 0)
    assert "Exception" not in caplog.text
    assert answers == b""
    async with connected(service.url) as raw:
        raw.send((GET + b"\r\n") * 10)
        for _ in range(10):
            await raw.reader.readuntil(b'{"status":"ok"}')


class Line:
    """A connection that knows whether it was closed."""

    def __init__(self) -> None:
        self.has_given_way = False

    def give_way(self) -> None:
        self.has_given_way = True


def test_one_address_has_half_of_the_connections_and_a_proxy_on_this_machine_all() -> None:
    bounds = Connections(10)
    busy = [Line() for _ in range(5)]
    for line in busy:
        assert bounds.admit(line, "10.0.0.1", 0)
        bounds.is_served(line)
    assert not bounds.admit(Line(), "10.0.0.1", 1)
    assert not bounds.admit(Line(), "::ffff:10.0.0.1", 1)
    near = [Line() for _ in range(5)]
    assert all(bounds.admit(line, "127.0.0.1", 1) for line in near)
    assert bounds.admit(Line(), None, 1)
    assert [line.has_given_way for line in near] == [True, False, False, False, False]
    assert len(bounds) == 10
    bounds.remove(busy[0])
    assert bounds.admit(Line(), "2001:db8::1", 1)
    assert len(bounds) == 10


def test_of_one_address_with_too_many_its_own_oldest_gives_way() -> None:
    bounds = Connections(4)
    other, first, second, third = Line(), Line(), Line(), Line()
    hosts = {other: "10.0.0.9", first: "2001:db8::1", second: "2001:db8::2"}
    assert all(bounds.admit(line, host, 0) for line, host in hosts.items())
    bounds.is_served(second)
    assert bounds.admit(third, "2001:db8::3", 0)
    assert (other.has_given_way, first.has_given_way, second.has_given_way) == (False, True, False)


def test_a_connection_in_use_gives_way_after_strangers_and_only_once_it_is_idle() -> None:
    bounds = Connections(2)
    in_use, stranger, newer = Line(), Line(), Line()
    assert bounds.admit(in_use, None, 0)
    bounds.waits_for_caller(in_use, 5, is_known=True)
    assert bounds.admit(stranger, None, 5.1)
    assert bounds.admit(newer, None, 5.2)
    assert (in_use.has_given_way, stranger.has_given_way) == (False, True)
    bounds.is_served(newer)
    assert not bounds.admit(Line(), None, 5.9)
    assert bounds.admit(Line(), None, 6)
    assert in_use.has_given_way
