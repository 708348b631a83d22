"""Records of jobs damaged by hand, in every state a job can have: each costs its own job at most, and the worker and all duties go on."""

import logging

import pytest
from redis.asyncio import Redis

from runner import Concurrency, Runner, TokenBucket
from runner.store import ClaimRequest, JobStore
from runner.store.keys import Keys
from tests.worker.conftest import Crew, MakeApp

SLOTS = Concurrency("slots", 20)
PACED = TokenBucket("paced", rate="200/s", burst=5)
TEXTS = ["", "many", "-1", str(2**63), "nan", "inf", "{broken", "\udcff"]
FIELDS = [
    *("task", "args", "state", "priority", "limits", "line", "rank", "attempt", "failures", "crashes", "throttled", "expires"),
    *("on_expiry", "worker", "entry", "started", "submitted", "watched", "cancel", "spec", "call"),
]


@pytest.mark.fault("X05")
@pytest.mark.parametrize("field", [*FIELDS, "another type"])
async def test_a_damaged_record_of_any_kind_holds_up_no_other_job(
    make_app: MakeApp, redis: Redis, queue: str, crew: Crew, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(concurrency=20, lease_s=1.5, renew_s=0.3, reclaim_s=0.2, record_starts=False)
    caplog.set_level(logging.WARNING, "runner")

    @app.task(retries=1)
    async def work(number: int) -> int:
        return number

    @app.task(limits=[SLOTS, PACED])
    async def limited(number: int) -> int:
        return number

    @app.task(limits=[PACED], max_wait=60)
    async def impatient(number: int) -> int:
        return number

    tasks = (work, limited, impatient)
    app.limit(SLOTS)
    for task in tasks:
        await (await task.submit(0)).cancel()
    gone = await lost_worker(app, redis, queue)
    for place, job_id in enumerate(gone[::2]):
        await damage(redis, Keys(queue).job(job_id), field, TEXTS[place % len(TEXTS)])
    damaged, fine = list[str](), []
    for number, text in enumerate(TEXTS):
        for task in tasks:
            for delay in (0, 0.3):
                damaged.append((await task.with_options(delay=delay).submit(number)).id)
                fine.append(await task.with_options(delay=delay).submit(number))
                await damage(redis, Keys(queue).job(damaged[-1]), field, text)
    worker = await crew.start(app)
    name = worker.id
    for job in fine:
        assert (await job.wait(timeout=20)).state == "succeeded", field
    for job_id in gone[1::2]:
        status = await app.client.wait(job_id, timeout=20)
        assert status.state == "succeeded", field
    assert worker.id == name
    assert not worker.state.is_stopped
    failed = [record.getMessage() for record in caplog.records if "a duty failed" in record.getMessage()]
    assert not failed, [record.exc_text for record in caplog.records if record.exc_info]
    await redis.delete(*map(Keys(queue).job, [*damaged, *gone[::2]]))  # what the fixture reads afterwards are records that can be read


async def damage(redis: Redis, key: str, field: str, text: str) -> None:
    if field == "another type":
        await redis.delete(key)
        await redis.set(key, text.encode(errors="surrogateescape"))
    elif text:
        await redis.hset(key, field, text.encode(errors="surrogateescape"))
    else:
        await redis.hdel(key, field)


async def lost_worker(app: Runner, redis: Redis, queue: str) -> list[str]:
    """The ids of jobs that a worker ran which is no more, and whose lease has lapsed."""
    names = ("work", "limited", "impatient")
    ids = [(await app.client.submit(names[number % 3], {"number": number})).id for number in range(12)]
    store = JobStore(str(app.settings.redis_url), queue, app.settings)
    await store.enlist("lost", "{}")
    running = len((await store.claim("lost", ClaimRequest(12, read_more=True))).jobs)
    assert running > 3
    await redis.zadd(Keys(queue).workers, {"lost": 1})
    await store.close()
    return ids
