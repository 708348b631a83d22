"""Batches: jobs that are counted together, sealed once, and perhaps followed by one that runs when all of them have ended."""

from typing import Any

import pytest

from runner.connection.client import command
from runner.errors import BacklogFull
from runner.jobs import Acceptance, BatchNotOpen, BatchProgress, JobFilter, State, Submission, Within, question_of
from runner.store.flows import Linked, Opened, Sealing, node_of_batch
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, fail_all, finish_all, job, make_store
from tests.store.flow_world import following, member, run_all, with_features, wrong_flows
from tests.store.inside import scores, states

B = node_of_batch("b")
EVERYWHERE = Within()


def report(name: str = "then", on_failure: str = "run") -> Submission:
    """The job that follows the batch."""
    return with_features(job(name), ends_batch="b", on_failure=on_failure)


async def progress(store: JobStore, batch_id: str = "b") -> BatchProgress:
    found = await store.members(node_of_batch(batch_id))
    assert found is not None
    assert found.batch is not None
    return found.batch


async def test_a_batch_counts_its_jobs_and_ends_with_the_last_of_them(store: JobStore, clock: Clock) -> None:
    assert await store.open_batch("b", "run", 3) is Opened.new
    assert await store.open_batch("b", "run", 3) is Opened.open
    await store.submit([member("b", f"m{number}") for number in range(3)])
    good, bad = await claim(store, 2)
    await finish_all(store, [good])
    await fail_all(store, [bad])
    seen = await progress(store)
    assert (seen.total, seen.done, seen.pending, seen.succeeded, seen.failed) == (3, 2, 1, 1, 1)
    assert (seen.sealed_at, seen.has_ended) == (None, False)

    assert await store.seal(B) == (Sealing.sealed, 3)
    assert not (await progress(store)).has_ended
    await store.cancel("m2")

    seen = await progress(store)
    assert (seen.cancelled, seen.has_ended, seen.pending) == (1, True, 0)
    assert await store.seal(B) == (Sealing.sealed, 3)
    assert await wrong_flows(store) == []
    assert await scores(store, store.keys.batches) == {}
    for key in (store.keys.batch("b"), store.keys.after(B)):
        assert int(await command(store.redis, "PTTL", key)) > 6 * 86_400_000


async def test_a_batch_ends_when_it_is_sealed_if_all_have_ended_before(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([member("b", "m")])
    await run_all(store)
    assert not (await progress(store)).has_ended
    await store.seal(B)
    assert (await progress(store)).has_ended


async def test_an_empty_batch_has_ended_once_it_is_sealed_and_its_follower_runs(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    assert await store.submit([report()]) == [Acceptance.waiting]
    await store.seal(B)
    assert (await progress(store)).has_ended
    assert await run_all(store) == ["then"]


@pytest.mark.parametrize(("policy", "expected"), [("run", "queued"), ("cancel", "cancelled"), ("fail", "failed")])
async def test_what_follows_a_batch_runs_when_all_have_ended_or_as_its_policy_says(store: JobStore, policy: str, expected: str) -> None:
    await store.open_batch("b", policy, 0)
    await store.submit([report(on_failure=policy), member("b", "m0"), member("b", "m1")])
    await store.seal(B)
    await fail_all(store, await claim(store, 1))
    assert await states(store, ["then"]) == ["waiting" if policy == "run" else expected]
    await finish_all(store, await claim(store, 1))
    assert await states(store, ["then"]) == [expected]
    assert (await progress(store)).has_ended
    assert (await progress(store)).then == "then"
    assert await wrong_flows(store) == []


async def test_what_follows_a_batch_reads_its_members_by_its_own_id(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([report(), *[member("b", f"m{number}") for number in range(3)]])
    found = await store.all_members("then")
    assert found is not None
    assert [one.id for one in found] == ["m0", "m1", "m2"]


async def test_a_sealed_batch_takes_no_more_and_there_must_be_one(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([member("b", "m0"), report()])
    await store.seal(B)
    assert await store.submit([member("b", "m1"), member("nobody", "m2"), report("other")]) == [
        Acceptance.sealed,
        Acceptance.no_batch,
        Acceptance.sealed,
    ]
    assert await states(store, ["m1", "m2", "other"]) == ["unknown"] * 3
    assert (await progress(store)).total == 1
    assert await store.seal(node_of_batch("nobody")) == (Sealing.over, 0)
    assert await store.members(node_of_batch("nobody")) is None


async def test_jobs_that_there_are_already_can_be_entered_and_a_repetition_enters_none_twice(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([job("old"), job("ended")])
    await finish_all(store, await claim(store, 2))
    sent = [member("b", "m0"), member("b", "m1")]
    assert await store.submit(sent) == [Acceptance.queued] * 2
    assert await store.submit(sent) == [Acceptance.existing] * 2
    assert await store.link(B, ["ended", "m0"]) == Linked()
    await store.seal(B)
    assert await store.link(B, ["ended", "m0"]) == Linked()
    assert await store.link(B, ["old"]) == Linked(over=True)
    seen = await progress(store)
    assert (seen.total, seen.succeeded) == (3, 1)


async def test_a_batch_that_does_not_fit_is_refused_before_its_first_job(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock, max_backlog=5)
    try:
        await store.submit([job(), job()])
        with pytest.raises(BacklogFull, match="no room for 4 more"):
            await store.open_batch("b", "run", 4)
        assert await store.members(B) is None
        assert await store.open_batch("b", "run", 3) is Opened.new
    finally:
        await store.close()


async def test_a_member_that_is_run_again_is_pending_again_and_the_batch_stays_released(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([report(), member("b", "m0"), member("b", "m1")])
    await store.seal(B)
    await fail_all(store, await claim(store, 2))
    assert await states(store, ["then"]) == ["queued"]
    assert await store.retry("m0") == State.queued
    assert await states(store, ["then"]) == ["queued"]
    seen = await progress(store)
    assert (seen.pending, seen.failed) == (1, 1)
    await run_all(store)
    seen = await progress(store)
    assert (seen.pending, seen.failed, seen.succeeded, seen.has_ended) == (0, 1, 1, True)


async def test_many_members_that_end_together_let_their_follower_go_once(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([report(), *[member("b", f"m{number}") for number in range(500)]])
    await store.seal(B)
    ran = await run_all(store)
    assert ran[-1] == "then"
    assert len(ran) == 501
    assert await wrong_flows(store) == []


async def test_each_tenant_is_told_of_its_own_open_batches(store: JobStore) -> None:
    for name in ("b", "acme/b", "acme/c", "acme2/b"):
        await store.open_batch(name, "run", 0)

    assert [one.id for one in await store.batches()] == ["b"]
    assert [one.id for one in await store.batches("acme/")] == ["acme/c", "acme/b"]
    assert [one.id for one in await store.batches("acme/", 1)] == ["acme/c"]


async def in_batch(store: JobStore, page: int = 500, within: Within = EVERYWHERE, batch: str = "b", **chosen: Any) -> list[str]:
    question, cursor, ids = question_of(JobFilter(batch=batch, **chosen), within), b"", list[str]()
    while True:
        selected = await store.select(question, cursor, examined=page)
        ids += selected.ids
        cursor = selected.cursor
        if not cursor:
            return ids


async def test_the_jobs_of_a_batch_are_found_in_any_state_those_that_have_not_ended_first(store: JobStore) -> None:
    for name in ("b", "c"):
        await store.open_batch(name, "run", 0)
    others = [member("c", "other"), job("plain"), report()]
    await store.submit([*(member("b", f"m{number}") for number in range(4)), member("b", "later", delay=60), *others])
    good, bad = await claim(store, 2)
    await finish_all(store, [good])
    await fail_all(store, [bad])
    await store.cancel("m3")

    for page in (500, 1, 2):
        assert await in_batch(store, page) == ["m2", "later", "m0", "m1", "m3"]
    assert await in_batch(store, state="failed") == ["m1"]
    assert await in_batch(store, state=["queued", "scheduled"]) == ["m2", "later"]
    assert await in_batch(store, state=["succeeded", "cancelled"]) == ["m0", "m3"]
    assert await in_batch(store, batch="c") == ["other"]
    assert await in_batch(store, batch="none") == []
    assert await in_batch(store, task="other") == []


async def test_a_question_for_the_failed_jobs_of_a_batch_looks_at_those_alone(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([member("b", f"m{number}") for number in range(50)])
    await fail_all(store, await claim(store, 1))

    selected = await store.select(question_of(JobFilter(batch="b", state="failed"), EVERYWHERE))

    assert (list(selected.ids), selected.looked) == (["m0"], 1)


async def test_a_job_that_has_the_id_of_one_that_is_gone_is_none_of_its_batch(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([member("b", "m"), member("b", "kept")])
    await run_all(store)
    await command(store.redis, "DEL", store.keys.job("m"))
    await store.submit([job("m")])

    assert await in_batch(store) == ["kept"]


async def test_a_member_with_many_followers_is_found_in_its_batch(store: JobStore) -> None:
    await store.submit([job("m", delay=60)])
    await store.submit([following("m", name=f"f{number}") for number in range(20)])
    await store.open_batch("b", "run", 0)
    assert await store.link(B, ["m"]) == Linked()

    assert await in_batch(store) == ["m"]


async def test_a_tenant_finds_the_jobs_of_its_own_batch_alone(store: JobStore) -> None:
    for node in ("b", "t7/b"):
        await store.open_batch(node, "run", 0)
    await store.submit([member("b", "m"), member("t7/b", "t7/m")])

    assert await in_batch(store, within=Within("t7/", shared=False)) == ["t7/m"]
    assert await in_batch(store, within=Within(shared=False)) == ["m"]


async def test_no_more_batches_are_open_than_the_memory_is_to_hold(store: JobStore) -> None:
    await store.open_batch("first", "run", 0)
    for part in range(100):
        pairs = [word for number in range(1_000) for word in (number, f"b{part}-{number}")]
        await command(store.redis, "ZADD", store.keys.batches, *pairs)

    with pytest.raises(BatchNotOpen, match="100001 batches"):
        await store.open_batch("another", "run", 0)
    assert await store.open_batch("first", "run", 0) is Opened.open
    await command(store.redis, "DEL", store.keys.batches)


async def test_what_follows_a_batch_that_is_gone_is_cancelled(store: JobStore) -> None:
    await store.open_batch("b", "run", 0)
    await store.submit([report(), member("b", "m0"), following("then", name="after")])
    await command(store.redis, "DEL", store.keys.batch("b"))
    for _ in range(4):  # the structures that point at jobs take turns
        await store.repair()
        await store.advance()
    (then,) = await store.get(["then"])
    assert then is not None
    assert (then.state, await states(store, ["m0", "after"])) == ("cancelled", ["queued", "cancelled"])
    assert await wrong_flows(store) == []
