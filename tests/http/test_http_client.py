"""The client over HTTP alone: what it sends again, how long, and what it refuses. The shared verbs are in test_both_clients."""

import ast
import asyncio
import json
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runner import ClientClosed, ConfigurationError, HttpClient, JobOptions, JobRequest, Runner, StoreUnavailable, Worker
from runner.errors import (
    Forbidden,
    InvalidArguments,
    ServiceUnavailable,
    StillUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from runner.http.problem_kinds import KINDS
from runner.http_client import job_calls, submissions
from runner.http_client.problems import ERRORS
from tests.http.conftest import Gate, Service, serving, working
from tests.pages import page
from tests.proxy import Proxy

DOCUMENT = page("http-client.md").read_text()
_OF_THE_REQUEST = {
    *("batch-invalid", "cross-site", "idempotency-key-reused", "invalid-idempotency-key", "invalid-path", "malformed-request"),
    *("head-too-large", "method-not-allowed", "misdirected-request", "request-timeout", "result-too-large", "unsupported-media-type"),
}
"""Kinds that this client's own requests do not cause, or that it reads by itself."""


SENT = "the id that was sent"


class Scripted:
    """A service of which each request has the next answer of a list: (status, headers, document); None closes the connection unanswered."""

    def __init__(self, *answers: tuple[int, dict[str, str], Any] | None) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []
        self.bodies: list[Any] = []

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[HttpClient]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, HttpClient(url, **options) as client:
            yield client

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head.lower())
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append(head.decode().partition(" HTTP")[0])
                self.bodies.append(json.loads(body) if body else None)
                answer = self._answers.pop(0)
                if answer is not None and self.bodies[-1] and answer[2].get("id") == SENT:
                    answer[2]["id"] = self.bodies[-1]["id"]
                if answer is None:
                    break
                status, headers, document = answer
                text = json.dumps(document).encode()
                kind = "application/problem+json" if status >= 400 and "type" in document else "application/json"
                fields = {"content-type": kind, "content-length": str(len(text)), **headers}
                lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
                writer.write("\r\n".join(lines).encode() + text)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def problem(kind: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    return (
        KINDS[kind].status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        {"type": f"/problems/{kind}", "detail": kind},
    )


def accepted(created: bool = True, state: str = "queued") -> tuple[int, dict[str, str], Any]:
    return 202, {}, {"id": SENT, "task": "add", "created": created, "state": state}


async def test_a_submission_is_sent_again_with_its_id_until_it_is_answered() -> None:
    service = Scripted(None, (502, {}, {}), problem("store-unavailable", retry_after="0"), accepted(created=False, state="waiting"))
    async with service.client() as client:
        job = await client.submit("add", {"left": 1})
    assert [body["id"] for body in service.bodies] == [job.id] * 4
    assert job.first_state == "waiting", "nobody else has an id that was made here"


async def test_a_request_whose_answer_was_lost_runs_no_job_twice(service: Service, app: Runner, worker: Worker) -> None:
    async with Proxy(service.url) as proxy, HttpClient(through(proxy)) as client:
        proxy.lose_reply_of("/v1/jobs/batch")
        handles = await client.submit_many([JobRequest("add", {"left": number}) for number in range(5)])
        assert [await handle.result(20) for handle in handles] == [1, 2, 3, 4, 5]
    assert all(handle.first_state.is_new for handle in handles)


@pytest.mark.parametrize("verb", ["retry", "delete", "remove_task", "reset"])
async def test_what_cannot_be_done_twice_is_not_sent_again_once_it_may_have_been_done(verb: str) -> None:
    for answer, sent in ((None, 1), (problem("store-unavailable", retry_after="0"), 1), (problem("busy", retry_after="0"), 2)):
        service = Scripted(answer, problem("store-unavailable"))
        async with service.client() as client:
            call: Callable[[str], Any] = client.control.reset if verb == "reset" else getattr(client, verb)
            with pytest.raises(StoreUnavailable):
                await call("x")
        assert len(service.requests) == sent


async def test_patience_ends_with_the_time_out_and_does_not_outwait_the_service() -> None:
    async with Scripted(*[problem("too-many-requests", retry_after="60")] * 2).client(timeout=5) as client:
        with pytest.raises(TooManyRequests) as refused:
            await client.limits()
        assert refused.value.retry_after_s == 60
    async with Scripted((503, {}, {})).client(timeout=0) as client:
        with pytest.raises(ServiceUnavailable, match="answers 503, and the service is not reached"):
            await client.limits()
    async with HttpClient("http://127.0.0.1:9", timeout=0.3) as client:
        with pytest.raises(ServiceUnavailable, match=r"the service at http://127.0.0.1:9 is not reached"):
            await client.status("x")
        with pytest.raises(StillUnavailable):
            await client.wait("x", 0.2)


async def test_an_answer_of_somebody_else_says_that_the_url_is_wrong() -> None:
    answers: list[tuple[int, dict[str, str], Any]] = [(404, {}, {"detail": "Not Found"}), (301, {"location": "/login"}, {})]
    for answer in answers:
        async with Scripted(answer).client() as client:
            with pytest.raises(ConfigurationError, match="no answer of a queue's service"):
                await client.status("x")


def test_each_problem_of_the_service_is_an_error_here() -> None:
    assert ERRORS.keys() == KINDS.keys() - _OF_THE_REQUEST


async def test_a_key_is_sent_and_shown_nowhere(app: Runner, service: Service) -> None:
    secret = (await app.client.keys.create("producer", preset="producer")).secret
    async with HttpClient(service.url, key=secret) as client:
        job = await client.submit("add", {"left": 1})
        assert (await job.status()).state == "queued"
        with pytest.raises(Forbidden, match="limits:write") as refused:
            await client.control.pause("slow")
        assert refused.value.scope == "limits:write"
        told = await client.explain(await (await client.submit("scarce", {})).status())
        assert told
        assert secret not in f"{client!r} {vars(client)!r} {refused.value}"
    async with HttpClient(service.url, key=secret[:-1] + "x") as client:
        with pytest.raises(Unauthenticated):
            await client.status(job.id)


@pytest.mark.parametrize(
    "url",
    [None, "", "localhost:8000", "ftp://x", "http://", "http://u:geheim@x", "http://x/?a=1", "http://x#y", "http://x:99999", "http://x y"],
)
def test_what_is_no_url_of_a_service_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        HttpClient(url)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("key", ["", "geheim heit", "geheim\n", "gehe\u0131m"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        HttpClient("http://x", key=key)
    assert not key or key not in str(refused.value)


async def test_many_who_wait_hold_few_connections(service: Service, worker: Worker, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_calls, "MOST_POLLS", 2)
    monkeypatch.setattr(job_calls, "LOOK_S", 0.05)
    async with HttpClient(service.url) as client:
        jobs = await client.submit_many([JobRequest("held", {}) for _ in range(30)])
        waiting = [asyncio.create_task(job.result()) for job in jobs]
        await gate.started.wait()
        await asyncio.sleep(0.3)
        assert client._session.polls == 2
        gate.open.set()
        assert await asyncio.gather(*waiting) == ["let go"] * 30


async def test_a_batch_is_as_large_as_the_service_takes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MOST_JOBS", 7)
    async with HttpClient(service.url) as client:
        requests = [JobRequest("add", {"left": number}) for number in range(20)]
        assert len({job.id for job in await client.submit_many(requests)}) == 20
        with pytest.raises(InvalidArguments) as refused:
            await client.submit_many([*requests, JobRequest("add", {"left": "x"})])
        assert refused.value.index == 20
        heavy = [JobRequest("echo", {"value": list(range(20_000))}) for _ in range(7)]
        assert len(await client.submit_many(heavy)) == 7
        assert await client.submit_many([]) == []


async def test_streams_go_on_where_they_were_cut(service: Service, worker: Worker, app: Runner) -> None:
    async with Proxy(service.url) as proxy, HttpClient(through(proxy)) as client:
        told = []
        async with aclosing(client.events("0")) as events:
            for number in range(3):
                job = await app.client.submit("add", {"left": number}, JobOptions(id=f"n{number}"))
                await job.result(20)
                told.append((await anext(events)).job_id)
                proxy.cut_connections()
        assert told == ["n0", "n1", "n2"]


async def test_an_outage_of_the_service_is_waited_out(app: Runner, gate: Gate) -> None:
    async with serving(app.settings, app.queue) as first:
        port = int(first.url.rpartition(":")[2])
        client = HttpClient(first.url, timeout=20)
        job = await client.submit("add", {"left": 1})
        waiting = asyncio.create_task(job.result(timeout=30))
    asked = asyncio.create_task(client.status(job.id))
    async with serving(app.settings, app.queue, port=port), working(app):
        assert (await asked).state in ("queued", "running", "succeeded")
        assert await waiting == 2
        await client.close()
        with pytest.raises(ClientClosed):
            await client.status(job.id)


def through(proxy: Proxy) -> str:
    """The URL of a service behind a proxy."""
    return f"http://127.0.0.1:{urlsplit(proxy.url).port}"


def certificate(folder: Path) -> tuple[Path, Path]:
    """One of localhost that nobody trusts, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=localhost".split()
    subprocess.run([*words, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return cert, key


async def test_a_certificate_that_is_not_trusted_is_said_at_once(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    scripted = Scripted((200, {}, {"limits": []}))
    server = await asyncio.start_server(scripted._serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with HttpClient(url, timeout=60) as client:
            async with asyncio.timeout(20):
                with pytest.raises(ServiceUnavailable, match=r"(?i)certificate"):
                    await client.limits()
        async with HttpClient(url, tls=ssl.create_default_context(cafile=str(cert))) as client:
            assert await client.limits() == []


def test_without_httpx_the_line_is_named_that_installs_it() -> None:
    code = """
import sys
sys.modules["httpx"] = None
from runner import HttpClient
from runner.errors import MissingExtra
try:
    HttpClient("http://x")
except MissingExtra as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "runner.HttpClient needs the package httpx, which is not installed: pip install 'metered-runner[httpx]'\n"


@pytest.mark.parametrize("number", [0, 1])
async def test_the_code_of_the_document_runs(service: Service, app: Runner, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Runner(app.queue, settings=app.settings)

    @shop.task
    async def charge(order_id: str, tenant_id: str) -> str:
        return f"charged {order_id}"

    block = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)[number]
    secret = (await shop.client.keys.create("producer", preset="admin")).secret
    code = compile(
        block.replace("http://127.0.0.1:8000", service.url).replace("mr1_...", secret),
        "docs/howto/http-client.md",
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    async with working(shop):
        if "await" in block:
            await eval(code, {})
        else:
            await asyncio.to_thread(exec, code, {})
    await shop.close()
    assert "charged o-" in capsys.readouterr().out
