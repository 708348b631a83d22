"""Spans of submissions and attempts, by a real SDK with an exporter in memory; and that without an SDK nothing is recorded, stored or called."""

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import traced_jobs
from runner import Client, JobRequest, RateLimited, Runner, TokenBucket, Worker, current_job
from runner.client import configure
from runner.http import anyone, create_app
from runner.telemetry import recorder_here, tracing
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp, state_of

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

REMOTE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """An SDK that is set up for this test alone: a process can set up one only."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()
    tracing._recorder.cache_clear()


async def spans(exporter: InMemorySpanExporter, name: str, number: int = 1) -> list[Any]:
    """The ended spans of this name, once there are so many."""

    def found() -> list[Any]:
        return [span for span in exporter.get_finished_spans() if span.name == name]

    await eventually(lambda: len(found()) >= number)
    assert len(found()) == number
    return found()


def trace_id(span: Any) -> str:
    return format(span.context.trace_id, "032x")


def linked(span: Any) -> tuple[int, int]:
    """The trace and the span that it is linked to."""
    (link,) = span.links
    return link.context.trace_id, link.context.span_id


def place(span: Any) -> tuple[int, int]:
    return span.context.trace_id, span.context.span_id


async def test_an_attempt_is_linked_to_the_span_that_submitted_its_job(app: Runner, crew: Crew, exporter: InMemorySpanExporter) -> None:
    @app.task
    async def work() -> str:
        with trace.get_tracer("handler").start_as_current_span("inside"):
            return "done"

    @app.task
    def plain() -> None:
        trace.get_tracer("handler").start_span("in a thread").end()

    await crew.start(app)
    with trace.get_tracer("test").start_as_current_span("order") as order:
        job = await work.submit()
    assert await job.result() == "done"
    (sent,), (attempt,), (inside,) = [await spans(exporter, name) for name in ("send work", "process work", "inside")]

    assert sent.kind is trace.SpanKind.PRODUCER
    assert sent.parent.span_id == order.get_span_context().span_id
    assert attempt.kind is trace.SpanKind.CONSUMER
    assert attempt.parent is None
    assert linked(attempt) == place(sent)
    assert inside.parent.span_id == attempt.context.span_id
    assert (await job.status()).trace_id == trace_id(sent)
    assert dict(attempt.attributes) == {
        "messaging.system": "metered-runner", "messaging.operation.name": "process", "messaging.operation.type": "process",
        "messaging.destination.name": app.queue, "messaging.message.id": job.id, "runner.task": "work", "runner.attempt": 1,
        "runner.outcome": "succeeded",
    }  # fmt: skip

    await (await plain.submit()).result()
    (process,), (thread,) = [await spans(exporter, name) for name in ("process plain", "in a thread")]
    assert thread.parent.span_id == process.context.span_id


async def test_what_attempts_come_to_is_told_by_events_without_values_of_keys(
    app: Runner, crew: Crew, exporter: InMemorySpanExporter
) -> None:
    tenant = TokenBucket("tenant", rate="1000/s", key="{tenant}")

    @app.task(limits=[tenant], cost={"tenant": 5}, retries=1, max_throttled=5)
    async def call(tenant: str) -> None:
        if current_job().attempt == 1:
            raise RateLimited("tenant", retry_after=0.05)
        if current_job().attempt == 2:
            raise ValueError("secret-free")
        current_job().settle("tenant", 3)

    await crew.start(app)
    job = await call.submit("customer-17")
    await state_of(app, job.id, "succeeded")
    attempts = await spans(exporter, "process call", 3)
    (sent,) = await spans(exporter, "send call")
    events = [{event.name: dict(event.attributes) for event in span.events} for span in attempts]

    assert [span.attributes["runner.outcome"] for span in attempts] == ["throttled", "retry", "succeeded"]
    assert {linked(span) for span in attempts} == {place(sent)}
    assert events[0]["throttled"]["runner.limit"] == "tenant"
    assert events[0]["throttled"]["runner.wait_s"] == pytest.approx(0.05)
    assert events[1]["retried"]["runner.delay_s"] >= 0
    assert events[1]["exception"]["exception.type"] == "ValueError"
    assert attempts[1].status.status_code is trace.StatusCode.ERROR
    assert attempts[1].attributes["error.type"] == "ValueError"
    assert events[2] == {"settled": {"runner.tokens.tenant": 3}}
    assert "customer-17" not in "".join(span.to_json() for span in exporter.get_finished_spans())


async def test_many_jobs_of_one_call_share_the_span_of_their_submission(app: Runner, crew: Crew, exporter: InMemorySpanExporter) -> None:
    @app.task
    async def work(number: int) -> None: ...

    await crew.start(app)
    handles = await app.submit_many([work.prepare(number) for number in range(3)])
    for handle in handles:
        await handle.result()
    (sent,) = await spans(exporter, "send work")
    attempts = await spans(exporter, "process work", 3)

    assert sent.attributes["messaging.batch.message_count"] == 3
    assert {linked(span) for span in attempts} == {place(sent)}

    async with Client(app.queue, settings=app.settings) as client:
        by_name = await client.submit_many([JobRequest("work", {"number": 1}), JobRequest("work", {"number": 2})])
    await spans(exporter, "process work", 5)
    assert by_name[0].id != by_name[1].id


async def test_metadata_of_the_submission_stays_and_too_much_of_it_goes_without_a_trace(
    app: Runner, exporter: InMemorySpanExporter
) -> None:
    @app.task
    async def work() -> None: ...

    kept = await work.with_options(metadata={"source": "import"}).submit()
    full = await work.with_options(metadata={"text": "x" * 4_070}).submit()
    status = await kept.status()

    assert status.metadata["source"] == "import"
    assert status.trace_id is not None
    assert (await full.status()).trace_id is None


async def test_a_submission_that_is_repeated_keeps_its_first_trace_and_one_that_is_refused_is_an_error(
    app: Runner, exporter: InMemorySpanExporter
) -> None:
    @app.task
    async def work(number: int) -> None: ...

    first = await work.with_options(id="one").submit(1)
    before = (await first.status()).trace_id
    await work.with_options(id="one").submit(1)
    assert (await first.status()).trace_id == before
    with pytest.raises(Exception, match="exists with another task or other arguments"):
        await work.with_options(id="one").submit(2)
    refused = (await spans(exporter, "send work", 3))[2]
    assert refused.status.status_code is trace.StatusCode.ERROR


async def test_the_traceparent_of_a_request_is_continued(app: Runner, crew: Crew, exporter: InMemorySpanExporter) -> None:
    @app.task
    async def work() -> None: ...

    await crew.start(app)
    service = create_app(app, authorize=anyone)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://localhost") as http:
        answer = await http.post("/v1/jobs", json={"task": "work"}, headers={"traceparent": REMOTE})
        assert answer.status_code == 202
        (sent,) = await spans(exporter, "send work")
        assert trace_id(sent) == REMOTE[3:35]
        assert (await http.get(f"/v1/jobs/{answer.json()['id']}")).json()["trace_id"] == REMOTE[3:35]
    (attempt,) = await spans(exporter, "process work")
    assert linked(attempt) == place(sent)


async def test_jobs_of_schedules_are_linked_to_the_span_of_the_leader(app: Runner, crew: Crew, exporter: InMemorySpanExporter) -> None:
    @app.every(1.0)
    @app.task
    async def report() -> None: ...

    await crew.start(app)
    await eventually(lambda: any(span.name == "process report" for span in exporter.get_finished_spans()))
    attempt = next(span for span in exporter.get_finished_spans() if span.name == "process report")
    fired = {place(span) for span in exporter.get_finished_spans() if span.name == "fire report"}

    assert linked(attempt) in fired


CHILDREN = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from runner import Runner

if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # in a child: its worker has one
    trace.set_tracer_provider(TracerProvider())
jobs = Runner({queue!r})

@jobs.task(executor="process")
def work() -> list[str]:
    with trace.get_tracer("child").start_as_current_span("in a child") as span:
        return [format(span.get_span_context().trace_id, "032x"), format(span.parent.span_id, "016x")]
"""


async def test_what_a_child_process_records_is_of_the_trace_of_its_attempt(
    make_app: MakeApp, crew: Crew, exporter: InMemorySpanExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "traced_children.py").write_text(CHILDREN.format(queue=queue))
    app: Runner[Any] = importlib.import_module("traced_children").jobs
    configure(app, **make_app().settings.model_dump(include={"redis_url", "concurrency", "lease_s", "renew_s", "block_s", "reclaim_s"}))
    await crew.start(app)
    told = await (await app.tasks["work"].submit()).result()
    (attempt,) = await spans(exporter, "process work")

    assert told == [trace_id(attempt), format(attempt.context.span_id, "016x")]
    await app.close()
    del sys.modules["traced_children"]


async def test_without_an_sdk_nothing_is_stored_and_one_call_is_made(app: Runner, crew: Crew) -> None:
    @app.task
    async def work() -> None: ...

    worker = await crew.start(app)
    called: list[str] = []

    def note(frame: Any, event: str, _: object) -> None:
        if event == "call" and "opentelemetry" in frame.f_code.co_filename:
            called.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        job = await work.submit()
    finally:
        sys.setprofile(None)
    await job.result()

    assert recorder_here() is None
    assert called == ["get_tracer_provider"]
    assert (await job.status()).metadata == {}
    assert (await job.status()).trace_id is None
    assert isinstance(worker, Worker)


def test_without_the_api_nothing_of_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")

    assert recorder_here() is None


async def test_the_example_records_a_submission_and_its_attempt(
    make_app: MakeApp, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_app().settings
    monkeypatch.setattr(traced_jobs.jobs, "settings", settings)
    monkeypatch.setattr(traced_jobs, "record", lambda _: None)
    monkeypatch.setattr(traced_jobs, "tracer", trace.get_tracer("shop"))  # one keeps to the SDK that it has recorded with first
    monkeypatch.setattr(trace.get_tracer_provider(), "shutdown", lambda: None)
    await asyncio.wait_for(traced_jobs.main(), 60)

    (sent,), (attempt,), (inside,) = [await spans(exporter, name) for name in ("send charge", "process charge", "card service")]
    assert linked(attempt) == place(sent)
    assert inside.parent.span_id == attempt.context.span_id
