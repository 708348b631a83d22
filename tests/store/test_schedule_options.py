"""What a schedule says of its jobs: tags, metadata, pool and uniqueness reach them, and meet overlap, pools and the marks of other jobs."""

import pytest

from runner.errors import StoreFull
from runner.jobs import Acceptance, JobFilter, JobOptions, OtherJob, Submission, Unique, made_by_schedule, question_of
from runner.jobs.job import Ending, Outcome
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, interval, job
from tests.store.schedule_builders import counts, made, publish_task, put, stands, tick


def options(**given: object) -> dict[str, object]:
    return JobOptions(**given)._asdict()  # type: ignore[arg-type] # by name


def unique(job_id: str, mark: str = "work/~", mode: str = "end", duplicate: str = "return") -> Submission:
    """A job with a mark, as anybody submits one."""
    asked = f'{{"unique":{{"mark":"{mark}","mode":"{mode}","duplicate":"{duplicate}"}}}}'
    return job(job_id)._replace(has_call=3, features=asked)


async def mark_of(store: JobStore, job_id: str) -> str:
    found = await store.redis.execute_command("HGET", store.keys.job(job_id), "unique")
    return bytes(found).decode()


async def test_tags_metadata_and_pool_reach_the_jobs(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, options=options(tags={"b", "a"}, metadata={"source": "clock"}, pool="gpu", max_wait=5))
    clock.advance(10)
    await tick(store)
    (instant,) = await made(store)
    (status,) = await store.get([f"s:{instant}"])
    assert status is not None
    assert (status.tags, status.metadata, status.pool, status.reason) == (("a", "b"), {"source": "clock"}, "gpu", "no worker")
    clock.advance(5)
    await store.expire()
    assert (await stands(store)).last_state == "expired"


@pytest.mark.parametrize("duplicate", ["return", "refuse"])
async def test_a_run_whose_mark_another_job_has_is_skipped_and_says_which(store: JobStore, clock: Clock, duplicate: str) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="allow", options=options(unique=Unique(duplicate=duplicate)))  # type: ignore[arg-type]
    clock.advance(10)
    await tick(store)
    mark = await mark_of(store, f"s:{(await made(store))[0]}")
    await store.finish("w", [Outcome(one, Ending.succeeded, b"1") for one in await claim(store)])
    await store.submit([unique("holder", mark)])
    clock.advance(10)
    await tick(store)
    assert (await counts(store), (await stands(store)).why) == ((1, 0, 1, 0), "skipped: it is unique, and job holder is there")
    await store.finish("w", [Outcome(one, Ending.succeeded, b"1") for one in await claim(store)])
    clock.advance(10)
    await tick(store)
    assert await counts(store) == (2, 0, 1, 0)


async def test_overlap_is_asked_before_the_mark(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, options=options(unique=Unique(until="start", duplicate="replace")))
    clock.advance(10)
    await tick(store)
    (first,) = await made(store)
    clock.advance(10)
    await tick(store)
    assert (await counts(store), (await stands(store)).why) == ((1, 0, 1, 0), f"skipped: s:{first} had not ended")


async def test_a_run_that_replaces_a_job_that_waits_makes_no_other(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    replacing = options(unique=Unique(until="start", duplicate="replace"), tags=["new"], metadata={"run": 2})
    await put(store, every=10, overlap="allow", options=replacing)
    clock.advance(10)
    await tick(store)
    (first,) = await made(store)
    clock.advance(10)
    await tick(store)
    assert (await counts(store), await made(store)) == ((1, 0, 1, 0), [first])
    assert (await stands(store)).why == f"skipped: job s:{first}, which waits, runs with its arguments"
    assert len(await claim(store)) == 1, "it has started, so the next instant has a job of its own"
    clock.advance(10)
    await tick(store)
    assert await counts(store) == (2, 0, 1, 0)


async def test_its_jobs_are_found_by_it_wherever_they_are(store: JobStore, clock: Clock) -> None:
    await publish_task(store, "work", interval("x", capacity=1, refill=1, every=1_000))
    await put(store, every=10, overlap="allow")
    await put(store, "s-other", every=10, overlap="allow")
    await store.submit([job("s:of-a-user", task="work", delay=60)])
    for _ in range(4):
        clock.advance(10)
        await tick(store)
    by_hand = made_by_schedule(job("s:by-hand-1", delay=60), "s")
    assert await store.trigger("s", by_hand) is Acceptance.scheduled
    first, *others = [instant for instant in await made(store) if instant.startswith("2")]
    assert [one.id for one in await claim(store, free=1)] == [f"s:{first}"]
    await store.cancel(f"s:{others[0]}")

    async def found(*states: str) -> list[str]:
        return sorted((await store.select(question_of(JobFilter(states, schedule="s")))).ids)

    assert await found() == await found("running", "cancelled", "waiting", "queued", "scheduled")
    ids = [f"s:{instant}" for instant in (first, *others)]
    assert await found("running", "waiting", "queued") == [ids[0], *ids[2:4]]
    assert await found("cancelled") == [ids[1]]
    assert await found("scheduled") == ["s:by-hand-1"]


async def test_one_pool_too_many_is_refused_and_shown(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, options=options(pool="one-more"))
    for number in range(32):
        await store.submit([job()._replace(line=f"#p{number}")])
    clock.advance(10)
    await tick(store)
    assert (await counts(store), (await stands(store)).why) == ((0, 0, 0, 1), "refused: its pool would be one more than there can be")
    with pytest.raises(StoreFull, match="32 pools already"):
        await store.trigger("s", made_by_schedule(job("s:by-hand-1")._replace(line="#one-more"), "s"))


async def test_a_run_by_hand_is_told_of_the_job_that_is_there(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10)
    await store.submit([unique("holder", mode="start")])
    for duplicate, state in (("return", "existing"), ("refuse", "duplicate"), ("replace", "replaced")):
        by_hand = made_by_schedule(unique("s:by-hand-1", mode="start", duplicate=duplicate), "s")
        assert await store.trigger("s", by_hand) == OtherJob(Acceptance(state), "holder")
    assert (await stands(store)).last_job is None
