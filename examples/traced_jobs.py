"""Spans of a request, of the job it submits, and of what the job's handler does, on the console. Needs opentelemetry-sdk; no collector.

`python examples/traced_jobs.py` on a Redis (RUNNER_REDIS_URL): the spans "order" and "send charge" are of one trace, "process charge" and
"card service" of another, which is linked to "send charge".
"""

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter

from runner import Runner

jobs = Runner("traced")
tracer = trace.get_tracer("shop")


@jobs.task
async def charge(order: str) -> str:
    with tracer.start_as_current_span("card service"):
        await asyncio.sleep(0.01)
    return f"{order} is paid"


def record(exporter: SpanExporter) -> None:
    """What every program that is traced does once, before it submits or works: here with an exporter that needs no collector."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


async def main() -> None:
    record(ConsoleSpanExporter())
    async with jobs.running(worker=True):
        with tracer.start_as_current_span("order"):
            job = await charge.submit("o-17")
        print(await job.result(), "- submitted in trace", (await job.status()).trace_id)
    trace.get_tracer_provider().shutdown()  # type: ignore[attr-defined] # of the SDK


if __name__ == "__main__":
    asyncio.run(main())
