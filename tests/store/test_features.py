"""What some jobs have besides what all have: they are accepted in the order of their batch, and their end concerns more than themselves."""

import pytest

from runner.connection.client import command
from runner.errors import BacklogFull
from runner.jobs.job import Ending, Outcome, Priority
from runner.jobs.submission import Submission
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, end, finish_all, ids, interval, job, publish
from tests.store.inside import line_ids, nudged, scores, states, stream_ids


def featured(job_id: str, **fields: object) -> Submission:
    """A job of which features know something."""
    return job(job_id, **fields)._replace(has_call=3, features="{}")  # type: ignore[arg-type] # as the builder takes them


async def test_a_batch_keeps_its_order_whoever_has_features(store: JobStore) -> None:
    await publish(store, interval("x"))
    batch = [job("a"), job("b", needs=["x"]), featured("c"), job("d", needs=["x"]), featured("e", needs=["x"]), job("f"), featured("g")]

    assert await store.submit(batch) == ["queued", "queued", "queued", "waiting", "waiting", "queued", "queued"]
    assert await store.submit(batch) == ["existing"] * 7

    assert await stream_ids(store) == ["a", "b", "c", "f", "g"]
    assert await line_ids(store, "1|x") == ["d", "e"]


async def test_a_job_with_features_has_all_that_others_have(store: JobStore, clock: Clock) -> None:
    plain = job("a", priority=Priority.high, delay=5, max_wait=7, deadline=60)._replace(has_call=2, call="f", metadata='{"t":"1"}')
    await store.submit([plain, plain._replace(id="b", has_call=3, features="{}")])

    assert await nudged(store)
    assert await scores(store, store.keys.scheduled) == dict.fromkeys("ab", START_US + 5_000_000)
    assert await scores(store, store.keys.expiring) == dict.fromkeys("ab", START_US + 12_000_000)
    first, second = [await command(store.redis, "HGETALL", store.keys.job(name)) for name in "ab"]
    assert first == second


async def test_the_cap_of_a_backlog_counts_them_as_others(store: JobStore) -> None:
    await store.submit([job("a"), featured("b")])

    assert [str(answer) for answer in await store.submit([job("a"), featured("b")], most_backlog=2)] == ["existing", "existing"]
    with pytest.raises(BacklogFull):
        await store.submit([featured("b"), featured("c")], most_backlog=2)
    assert await states(store, ["c"]) == ["unknown"]


@pytest.mark.parametrize("ending", [Ending.succeeded, Ending.failed, Ending.cancelled, Ending.refused])
async def test_an_end_that_concerns_what_nobody_knows_is_an_end_as_any_other(store: JobStore, ending: Ending) -> None:
    await store.submit([job("a"), job("b")])
    first, second = await claim(store)
    await command(store.redis, "HSET", store.keys.job("a"), "then", "later=x some y=1=2")
    outcomes = [Outcome(one, ending, b"{}", 0, 60_000) for one in (first, second)]

    assert await store.finish("w", outcomes) == ["accepted", "accepted"]
    assert await store.finish("w", outcomes) == ["repeated", "repeated"]

    assert await states(store, ["a", "b"]) == [FINAL_OF[ending]] * 2
    assert await stream_ids(store) == []


FINAL_OF = {Ending.succeeded: "succeeded", Ending.failed: "failed", Ending.cancelled: "cancelled", Ending.refused: "failed"}


async def test_such_an_attempt_can_be_retried_and_given_back(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    await command(store.redis, "HSET", store.keys.job("a"), "then", "later=x")
    (started,) = await claim(store)
    assert await end(store, started, Ending.returned) == "accepted"
    (started,) = await claim(store)
    assert await end(store, started, Ending.retry, delay=1) == "accepted"
    clock.advance(1)
    await store.promote()
    again = await claim(store)

    assert ids(again) == ["a"]
    await finish_all(store, again)
    assert await states(store, ["a"]) == ["succeeded"]
