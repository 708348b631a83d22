"""SpanRecorder: spans of submissions and attempts, by the API of OpenTelemetry. Imported once an SDK is set up."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from runner.clock import MICROSECONDS
from runner.jobs import Ending, Outcome, StartedJob, Submission, encoded_metadata, metadata_in
from runner.limits import limit_name
from runner.telemetry.tracing import carrier_of

S = TypeVar("S", bound=Submission[Any])

SYSTEM = "metered-runner"
_WITH_METADATA = 2
_PROPAGATOR = TraceContextTextMapPropagator()
_FAILED = frozenset({Ending.failed, Ending.retry, Ending.refused})
_MOST_TEXT = 2_000


class SpanRecorder:
    """Names and attributes are those of the conventions for messaging, as far as they fit: a queue is a destination, a job a message."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("runner", schema_url="https://opentelemetry.io/schemas/1.44.0")

    @contextmanager
    def sending(self, queue: str, jobs: Sequence[S], *, by: str = "send") -> Iterator[list[S]]:
        """Around a submission: the span of the producer, and the jobs with its context. An error that is raised is recorded."""
        attributes: dict[str, Any] = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": by,
            "messaging.operation.type": "send",
            "messaging.destination.name": queue,
        }
        tasks = sorted({job.task for job in jobs})
        if len(jobs) == 1:
            attributes |= {"messaging.message.id": jobs[0].id, "runner.task": tasks[0]}
            name = f"{by} {tasks[0]}"
        else:
            attributes |= {"runner.tasks": tasks[:10]} if len(tasks) > 1 else {"runner.task": tasks[0]} if tasks else {}
            attributes["messaging.batch.message_count"] = len(jobs)
            name = f"{by} {tasks[0] if len(tasks) == 1 else queue}"
        with self._tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes) as span:
            yield [_with_context(job) for job in jobs] if span.is_recording() else list(jobs)

    def around_attempt(self, queue: str, execute: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """The call that runs an attempt, in a span of the consumer: a trace of its own, linked to that of the submission."""

        async def recorded(job: StartedJob, record: Callable[[Outcome], None], *more: Any) -> None:
            with self._tracer.start_as_current_span(
                f"process {job.task}",
                context=context.Context(),
                kind=SpanKind.CONSUMER,
                attributes=_attributes(queue, job),
                links=_links(job),
            ) as span:

                def noted(outcome: Outcome) -> None:
                    _note(span, outcome)
                    record(outcome)

                await execute(job, noted, *more)

        return recorded

    def carrier(self) -> dict[str, str]:
        """The context here, as another process can continue it."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier

    @contextmanager
    def continued(self, carrier: dict[str, str]) -> Iterator[None]:
        """In the context of another process."""
        token = context.attach(_PROPAGATOR.extract(carrier))
        try:
            yield
        finally:
            context.detach(token)


def _with_context(job: S) -> S:
    """The job with the context of the present span among its metadata; without it, if there is no room."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    metadata = {**metadata_in(job.metadata), **carrier}
    try:
        encoded = encoded_metadata(metadata)
    except ValueError:
        return job
    return job._replace(has_call=max(job.has_call, _WITH_METADATA), metadata=encoded)


def _attributes(queue: str, job: StartedJob) -> dict[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
        "messaging.message.id": job.id,
        "runner.task": job.task,
        "runner.attempt": job.attempt,
    }


def _links(job: StartedJob) -> list[Link]:
    carrier = carrier_of(job.metadata) if job.metadata else {}
    of_producer = trace.get_current_span(_PROPAGATOR.extract(carrier, context.Context())).get_span_context()
    return [Link(of_producer)] if of_producer.is_valid else []


def _note(span: Span, outcome: Outcome) -> None:
    """What the attempt came to. Limits are told, and no value of a key."""
    if not span.is_recording():
        return
    span.set_attribute("runner.outcome", outcome.ending.value)
    settled = [part.partition("=") for part in outcome.settled.split(";") if part]
    if settled:
        span.add_event("settled", {f"runner.tokens.{limit_name(bucket)}": int(tokens) for bucket, _, tokens in settled})
    if outcome.ending is Ending.throttled:
        span.add_event("throttled", {"runner.limit": limit_name(outcome.freeze), "runner.wait_s": outcome.delay_us / MICROSECONDS})
    elif outcome.ending is Ending.retry:
        span.add_event("retried", {"runner.delay_s": outcome.delay_us / MICROSECONDS})
    if outcome.ending in _FAILED:
        _note_error(span, outcome)


def _note_error(span: Span, outcome: Outcome) -> None:
    try:
        error = json.loads(outcome.payload)
        kind, message, stack = str(error["type"]), str(error["message"]), str(error.get("traceback", ""))
    except (ValueError, KeyError, TypeError):
        kind, message, stack = "unknown", "", ""
    span.set_attribute("error.type", kind)
    told = {"exception.type": kind, "exception.message": message[:_MOST_TEXT], "exception.stacktrace": stack}
    span.add_event("exception", {name: text for name, text in told.items() if text})
    span.set_status(Status(StatusCode.ERROR, kind))
