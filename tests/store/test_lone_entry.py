"""One entry that a waiting worker was brought: a job that needs nothing starts by the short way, and any other as among many."""

import pytest

from runner.store.claimed import Claimed
from runner.store.claims import ClaimRequest, Look
from runner.store.job_store import JobStore
from tests.store.builders import Clock, enlist, finish_all, ids, interval, job, publish, read
from tests.store.inside import spoken_for, states, stream_ids


async def claim_alone(store: JobStore, worker: str = "w") -> Claimed:
    """The claim of the only entry there is."""
    held = await read(store, worker, 1, 1)
    assert len(held) == 1
    return await store.claim(worker, ClaimRequest(5, held, look=Look.no))


@pytest.fixture
async def ready(store: JobStore) -> JobStore:
    await enlist(store, "w")
    return store


async def test_a_job_that_needs_nothing_starts(ready: JobStore) -> None:
    await ready.submit([job("j", task="pay", args=b'{"n":1}')])

    claimed = await claim_alone(ready)

    (started,) = claimed.jobs
    assert (started.id, started.task, started.args, started.attempt, started.failures) == ("j", "pay", b'{"n":1}', 1, 0)
    assert (claimed.dropped, claimed.suspect, claimed.next_wake_us) == (0, None, -1)
    assert await states(ready, ["j"]) == ["running"]
    await finish_all(ready, claimed.jobs)


async def test_a_job_with_metadata_brings_them(ready: JobStore) -> None:
    await ready.submit([job("j")._replace(has_call=2, metadata='{"t":"1"}')])

    claimed = await claim_alone(ready)

    assert [started.metadata for started in claimed.jobs] == [b'{"t":"1"}']
    await finish_all(ready, claimed.jobs)


async def test_a_job_that_needs_a_token_takes_it(ready: JobStore) -> None:
    await publish(ready, interval("x"))
    await ready.submit([job("j", needs=["x"]), job("k", needs=["x"])])

    claimed = await claim_alone(ready)

    assert ids(claimed.jobs) == ["j"]
    assert await spoken_for(ready, "x") == (0, 0)
    assert await states(ready, ["j", "k"]) == ["running", "waiting"]
    await finish_all(ready, claimed.jobs)


async def test_a_job_whose_time_to_wait_is_over_expires(ready: JobStore, clock: Clock) -> None:
    await ready.submit([job("j", max_wait=5)])
    clock.advance(5)

    assert (await claim_alone(ready)).jobs == []

    assert await states(ready, ["j"]) == ["expired"]
    assert await stream_ids(ready) == []


async def test_a_cancelled_job_is_dropped(ready: JobStore) -> None:
    await ready.submit([job("j")])
    await ready.cancel("j")

    assert (await claim_alone(ready)).jobs == []

    assert await states(ready, ["j"]) == ["cancelled"]
    assert await stream_ids(ready) == []


async def test_a_suspect_is_held_until_the_worker_runs_nothing(store: JobStore, clock: Clock) -> None:
    await store.submit([job("j")])
    for worker in ("first", "second"):
        await enlist(store, worker)
        assert ids((await claim_alone(store, worker)).jobs) == ["j"]
        clock.advance(11)
        assert await store.reclaim() == (1, 1, 0)
    await enlist(store, "w")

    claimed = await claim_alone(store)

    assert claimed.jobs == []
    assert claimed.suspect is not None
    assert claimed.suspect[2] == b"j"
    assert await states(store, ["j"]) == ["queued"]


async def test_a_second_attempt_counts_on(ready: JobStore) -> None:
    await ready.submit([job("j")])
    await claim_alone(ready)
    assert await ready.reconcile("w", ()) == 1

    (again,) = (await claim_alone(ready)).jobs

    assert again.attempt == 2
    await finish_all(ready, [again])
