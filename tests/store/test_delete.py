"""delete: of jobs that have ended only, with all that points at them, and without harm to what uses their id again."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Ending, Outcome
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, enlist, fail_all, ids, interval, job, jobs, publish, succeeded, unique
from tests.store.inside import all_keys, bucket_state, states, stream_ids

DELETABLE = ("succeeded", "failed", "cancelled", "expired")


async def end(store: JobStore, clock: Clock, state: str) -> None:
    """A job `j` that ends in this state."""
    await store.submit([job("j", max_wait=1.0 if state == "expired" else 0)])
    if state == "cancelled":
        await store.cancel("j")
    elif state == "expired":
        clock.advance(2)
        await store.expire()
    elif state == "failed":
        await fail_all(store, await claim(store))
    else:
        await store.finish("w", [succeeded(one) for one in await claim(store)])


@pytest.mark.parametrize("state", DELETABLE)
async def test_a_job_that_has_ended_is_forgotten(store: JobStore, clock: Clock, state: str) -> None:
    await end(store, clock, state)
    assert await states(store, ["j"]) == [state]

    assert await store.delete("j") == "deleted"

    assert await store.get(["j"]) == [None]
    assert await store.delete("j") == "unknown", "a repeated call finds nothing"
    assert await command(store.redis, "ZCARD", store.keys.failed) == 0
    assert await store.retry("j") is None


async def test_a_job_that_has_not_ended_stays(store: JobStore) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit([job("later", delay=5), job("running"), job("queued")])
    await claim(store, free=1)
    await store.submit(jobs(2, needs=["x"]))

    answers = [await store.delete(name) for name in ("later", "running", "queued", "j1", "nobody", "take:t")]

    assert answers == ["scheduled", "running", "queued", "queued", "unknown", "unknown"]
    assert None not in await store.get(["later", "running", "queued", "j0", "j1"])


async def test_what_was_reserved_for_a_deleted_job_is_free_at_once(store: JobStore) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit(jobs(2, needs=["x"]))
    await store.cancel("j0")

    assert await store.delete("j0") == "deleted"

    assert (await bucket_state(store, "x")).deficit == 0
    assert ids(await claim(store)) == ["j1"]
    await claim(store)
    assert store.keys.job("j0") not in await all_keys(store)


async def test_an_id_whose_entry_is_still_on_a_stream_is_not_used_again_before_a_claim_has_met_it(store: JobStore) -> None:
    await store.submit([job("j")])
    await store.cancel("j")
    await store.delete("j")

    assert await store.submit([job("j")]) == ["conflict"]
    await enlist(store, "w")
    claimed = await store.claim("w", ClaimRequest(1, read_more=True))
    assert (ids(claimed.jobs), claimed.dropped) == ([], 0)

    assert await store.submit([job("j")]) == ["queued"]
    assert await stream_ids(store) == ["j"]
    assert ids(await claim(store)) == ["j"]
    assert await claim(store) == []


async def test_a_late_outcome_of_a_deleted_job_is_stale(store: JobStore) -> None:
    await store.submit([job("j")])
    (one,) = await claim(store)
    await store.finish("w", [succeeded(one)])
    await store.delete("j")

    assert await store.finish("w", [succeeded(one)]) == ["stale"]
    assert await store.finish("w", [Outcome(one, Ending.retry, b"{}", 5)]) == ["stale"]
    assert await store.get(["j"]) == [None]


async def test_a_deleted_job_gives_back_the_mark_that_it_had_for_a_period(store: JobStore) -> None:
    await store.submit([unique("a", until_us=3_600_000_000)])
    await fail_all(store, await claim(store))
    await store.delete("a")
    assert await command(store.redis, "EXISTS", store.keys.unique) == 0
    assert await store.submit([unique("b", until_us=3_600_000_000)]) == ["queued"]
