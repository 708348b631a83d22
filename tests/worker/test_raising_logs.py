"""A worker whose user's logging raises at every line: no actor of it ends, and all jobs do."""

import logging
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from runner import Backoff, RateLimited, Runner, TokenBucket
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp
from tests.worker.test_damaged_records import lost_worker

log = logging.getLogger("runner")


@pytest.fixture
def said(lost_lines: list[BaseException]) -> Iterator[list[str]]:
    """What the worker wanted to log, at any level."""
    lines = list[str]()

    def refuse(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        raise ConnectionError("the log service is away")

    level = log.level
    log.setLevel(logging.DEBUG)
    log.addFilter(refuse)
    yield lines
    log.removeFilter(refuse)
    log.setLevel(level)
    lost_lines.clear()


def tasks_of(app: Runner) -> None:
    """Those of `lost_worker`, and two of which a line is logged."""
    paced = TokenBucket("paced", rate="100/s", burst=10)

    @app.task(name="work")
    async def work(number: int) -> int:
        return number

    @app.task(name="limited", limits=[paced])
    async def limited(number: int) -> int:
        return number

    @app.task(name="impatient", retries=1, backoff=Backoff(base=0.05, cap=0.05))
    async def impatient(number: int) -> int:
        if number % 2:
            raise ValueError("a failed attempt")
        return number

    @app.task(name="throttled", limits=[paced], max_throttled=1)
    async def throttled() -> None:
        raise RateLimited("paced", retry_after=0.1)


async def test_a_line_that_cannot_be_logged_ends_no_actor(make_app: MakeApp, redis: Redis, queue: str, crew: Crew, said: list[str]) -> None:
    app = make_app(lease_s=1.5, renew_s=0.3, reclaim_s=0.2, drain_s=0.2, record_starts=False)
    tasks_of(app)
    for task in app.tasks.values():
        await (await task.submit(*([0] if task.name != "throttled" else []))).cancel()
    gone = await lost_worker(app, redis, queue)
    await redis.xadd(f"{Keys(queue).prefix}stream:normal", {"id": "nobody"})
    worker = await crew.start(app)
    name = worker.id

    states = [(await app.client.wait(job_id, timeout=20)).state for job_id in gone]
    throttled = await (await app.tasks["throttled"].submit()).wait(timeout=20)

    assert set(states) == {"succeeded", "failed"}
    assert throttled.state == "failed"

    async def all_is_said() -> bool:
        text = "\n".join(said)
        return all(words in text for words in ("serves queue", "leads (term", "took back", "belonged to no job", "a failed attempt"))

    await eventually(all_is_said)
    assert (worker.id, worker.state.is_stopped) == (name, False)
    await crew.stop(worker)
