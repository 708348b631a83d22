"""examples/sentry_hook.py with the real SDK, and a transport that keeps what it would send."""

from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk

from examples.sentry_hook import watch
from runner import JobFailed, Runner
from tests.worker.conftest import Crew


@pytest.fixture
def sent() -> Iterator[list[dict[str, Any]]]:
    """The events that would be sent."""
    events: list[dict[str, Any]] = []

    class Kept(sentry_sdk.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            events.extend(filter(None, (item.get_event() for item in envelope.items)))

    sentry_sdk.init(
        dsn="https://key@sentry.invalid/1",
        transport=Kept(),
        default_integrations=False,
        auto_enabling_integrations=False,
        traces_sample_rate=0,
    )
    yield events
    sentry_sdk.get_client().close()
    sentry_sdk.init(dsn=None, default_integrations=False, auto_enabling_integrations=False)


async def test_an_error_comes_with_its_job_and_the_trace_of_the_submitter(app: Runner, crew: Crew, sent: list[dict[str, Any]]) -> None:
    watch(app)

    @app.task(retries=0)
    async def fail(order: str) -> None:
        raise ValueError(order)

    @app.task
    async def work() -> int:
        return 1

    await crew.start(app)
    with sentry_sdk.isolation_scope():
        sentry_sdk.continue_trace({"sentry-trace": "0123456789abcdef0123456789abcdef-0123456789abcdef-1"})
        job = await fail.with_options(id="j1").submit("o-17")
    with pytest.raises(JobFailed):
        await job.result(timeout=10)
    assert await (await work.submit()).result(timeout=5) == 1
    (event,) = sent
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["tags"] == {"job": "j1", "task": "fail", "attempt": 1}
    assert event["contexts"]["trace"]["trace_id"] == "0123456789abcdef0123456789abcdef"
