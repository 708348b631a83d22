"""Where features meet: what a follower, a pause, a pool, a quota and a unique job do to each other."""

from runner.jobs import Acceptance, BulkAction, JobFilter, Pausable
from runner.limits import Quota, in_pool
from runner.store.flows import Linked
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, fail_all, finish_all, ids, interval, job, make_store, publish, unique
from tests.store.flow_world import following, run_all, with_features, wrong_flows
from tests.store.inside import states
from tests.store.test_flows import act_upon
from tests.store.test_unique import duplicate, existing


async def test_a_follower_that_finds_its_quota_spent_as_it_is_let_go_fails_and_its_followers_end_by_their_policies(store: JobStore) -> None:
    await publish(store, Quota("q", 1, per="day", on_exhausted="fail"))
    await store.submit([job("first", needs=["q"]), following("first", name="f", needs=["q"])])
    await store.submit([following("f", name="cancelled"), following("f", name="ran", on_failure="run")])
    assert await states(store, ["f", "cancelled", "ran"]) == ["waiting"] * 3
    assert await run_all(store) == ["first", "ran"]
    assert await states(store, ["f", "cancelled", "ran"]) == ["failed", "cancelled", "succeeded"]
    assert await wrong_flows(store) == []


async def test_what_comes_after_a_unique_job_that_was_there_follows_that_one(store: JobStore) -> None:
    await store.submit([unique("a")])
    (answer,) = await store.submit([unique("b")])
    assert answer == existing("a")
    await store.submit([following(answer.id, name="f")])
    await finish_all(store, await claim(store))
    assert await states(store, ["a", "f"]) == ["succeeded", "queued"]


async def test_a_retry_of_the_parent_begins_neither_delay_nor_max_wait_of_a_follower_that_is_held(store: JobStore, clock: Clock) -> None:
    await store.submit([job("p"), following("p", name="f", delay=5, max_wait=10)])
    await fail_all(store, await claim(store))
    assert await states(store, ["f"]) == ["cancelled"]
    await store.retry("p")
    clock.advance(100)
    await store.expire()
    assert await states(store, ["f"]) == ["waiting"]
    await finish_all(store, await claim(store))
    clock.advance(5)
    await store.promote()
    assert ids(await claim(store)) == ["f"]


async def test_a_retry_goes_to_its_pool_and_steps_aside_while_its_task_or_its_pool_is_paused(
    store: JobStore, redis_url: str, queue: str, clock: Clock
) -> None:
    gpu = make_store(redis_url, queue, clock, pools="gpu")
    await store.submit([job("a")._replace(line=in_pool("", "gpu"))])
    await fail_all(gpu, await claim(gpu))
    for what, name in ((Pausable.task, "work"), (Pausable.pool, "gpu")):
        await store.set_pause(what, name, "", 0)
        await store.retry("a")
        assert await claim(store) == await claim(gpu) == []
        (status,) = await store.get(["a"])
        assert status is not None
        assert (status.state, status.reason, status.pool) == ("waiting", "paused", "gpu")
        await store.end_pause(what, name)
        await store.unpause()
        assert await claim(store) == []
        (started,) = await claim(gpu)
        await fail_all(gpu, [started])
    await gpu.close()


async def test_a_paused_pool_keeps_its_high_priority_and_delays_no_other(store: JobStore, redis_url: str, queue: str, clock: Clock) -> None:
    both = make_store(redis_url, queue, clock, pools="gpu,default")
    from_pool = [one._replace(line=in_pool(one.line, "gpu"), priority=0) for one in (job("g0"), job("g1"))]
    await store.set_pause(Pausable.pool, "gpu", "", 0)
    await store.submit([*from_pool, job("d0"), job("d1")])
    assert ids(await claim(both)) == ["d0", "d1"]
    await store.end_pause(Pausable.pool, "gpu")
    await store.unpause()
    await store.submit([job("d2")])
    assert ids(await claim(both)) == ["g0", "g1", "d2"]
    await both.close()


async def test_a_retry_of_many_leaves_those_alone_whose_mark_another_has(store: JobStore, clock: Clock) -> None:
    await store.submit([unique("a"), unique("other", "work/n")])
    await fail_all(store, await claim(store))
    await store.submit([unique("b")])
    clock.advance(1)
    skipped = await act_upon(store, BulkAction.retry, JobFilter(state="failed"))
    assert skipped == {"duplicate": 1}
    assert await states(store, ["a", "b", "other"]) == ["failed", "queued", "queued"]
    assert await store.retry("a") == duplicate("b")


async def test_a_tag_forgets_what_its_retention_has_ended(store: JobStore, clock: Clock) -> None:
    await store.submit([with_features(job("a"), tags="t"), with_features(job("b"), tags="t")])
    first, second = await claim(store)
    await end(store, first)
    await finish_all(store, [second])
    assert await states(store, ["a", "b"]) == ["succeeded"] * 2
    await store.redis.execute_command("DEL", store.keys.job("a"))
    question = '{"tag":"t","within":"","shared":true}'
    assert (await store.select(question)).ids == ["b"]
    assert await store.redis.execute_command("ZRANGE", f"{store.keys.prefix}tag:t", 0, -1) == [b"b"]


async def test_code_that_waits_for_tokens_is_no_job_to_come_after(store: JobStore) -> None:
    await publish(store, interval("x", every=60))
    await store.submit([job("first", needs=["x"]), job("p")])
    assert (await store.take("take:t", "x=1", "x", wait_us=60_000_000)).state == "waiting"
    assert await store.submit([following("p", "take:t", name="f")]) == [Acceptance.no_parent]
    await store.submit([following(name="many")])
    assert await store.link("many", ["p", "take:t"], 0) == Linked("take:t")
    assert await wrong_flows(store) == []
    await store.cancel("take:t")
