"""Redis without memory, by `maxmemory`: new jobs are refused, whole and clearly; everything that is there goes on."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import ResponseError

from runner import ApiKey, Scope
from runner.connection.client import command
from runner.connection.error_translation import is_full, is_transient
from runner.errors import StoreFull
from runner.jobs import EVERY_JOB, BulkAction, JobFilter, Pausable, PauseStatus, question_of
from runner.jobs.job import Ending, Outcome
from runner.jobs.progress import Reported
from runner.limits import Concurrency, Quota
from runner.settings import Settings
from runner.store import Observation
from runner.store.claims import ClaimRequest
from runner.store.flows import node_of_batch
from runner.store.job_store import JobStore
from runner.store.lease import LeaseStore
from runner.store.portions import MOST_PER_CALL
from runner.store.scripts import load, script_names
from tests.servers import Server
from tests.store.builders import Clock, enlist, interval, job, jobs, make_store, publish, read, slot, succeeded
from tests.store.inside import all_keys, inconsistencies, states, stream_ids
from tests.store.schedule_builders import put

MAKE_JOBS = {"fire", "submit", "trigger"}
"""Scripts that are refused while memory is full: they would make new jobs."""


@pytest.fixture
async def store(private_server: Server, clock: Clock) -> AsyncIterator[JobStore]:
    opened = make_store(private_server.url, "full", clock)
    yield opened
    assert await inconsistencies(opened) == []
    await opened.close()


async def set_full(store: JobStore, *, full: bool = True) -> None:
    await command(store.redis, "CONFIG", "SET", "maxmemory", 1 if full else 0)


async def test_new_jobs_are_refused_whole_and_accepted_once_there_is_memory(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit([job("old"), job("limited", needs=["x"])])
    await set_full(store)
    before = await all_keys(store)

    for batch in ([job("new")], [job("old"), job("new")], jobs(500, "n"), jobs(700, "n"), [job("later", delay=5)], [job("y", needs=["x"])]):
        with pytest.raises(StoreFull, match="no memory left for new jobs"):
            await store.submit(batch)
    assert await all_keys(store) == before
    assert await store.submit([job("old"), job("limited", needs=["x"]), job("old", task="other")]) == ["existing", "existing", "conflict"]

    each = await store.submit_each([job("old"), job("new")])
    assert each[0] == "existing"
    assert isinstance(each[1], StoreFull)

    await set_full(store, full=False)
    assert await store.submit([job("new"), job("old")]) == ["queued", "existing"]


async def test_a_batch_of_a_thousand_is_not_stored_in_part(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory fills up between the two calls it takes: what was let in follows."""
    fill_after_first_part(store, monkeypatch)

    assert await store.submit(jobs(1_000)) == ["queued"] * 1_000


async def test_a_larger_batch_that_was_stored_in_part_can_be_sent_again(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_after_first_part(store, monkeypatch)
    with pytest.raises(StoreFull):
        await store.submit(jobs(1_001))
    assert len(await stream_ids(store)) == MOST_PER_CALL

    monkeypatch.undo()
    await set_full(store, full=False)

    assert await store.submit(jobs(1_001)) == ["existing"] * MOST_PER_CALL + ["queued"] * (1_001 - MOST_PER_CALL)


async def test_what_is_there_goes_on(store: JobStore, clock: Clock, private_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every script but those that make new jobs."""
    scripts_run = note_scripts(store, monkeypatch)
    await publish(store, interval("x", every=1), Concurrency("c", 2), Quota("q", 5, per="day"))
    await enlist(store, "w", "lost", "idle")
    plain = [job("a"), job("b"), job("c1", needs=[slot("c")]), job("q1", needs=["q"]), job("stop"), job("gone")]
    timed = [job("late", delay=1), job("never", max_wait=1, delay=60), job("cancelled", delay=60)]
    limited = jobs(4, "x", needs=["x"])
    await store.submit([*plain, *timed, *limited])
    held = await read(store, "w", 1, 0.01)
    await store.submit(jobs(3, "l"))
    await set_full(store)
    scripts_run.clear()

    started = (await store.claim("w", ClaimRequest(1, held))).jobs
    started += (await store.claim("w", ClaimRequest(100, read_more=True))).jobs
    assert {one.id for one in started} == {"a", "b", "c1", "q1", "stop", "gone", "x0", "l0", "l1", "l2"}
    by_id = {one.id: one for one in started}
    assert await store.cancel("stop") == "stopping"
    (watched,) = await store.watch(["a"])
    await store.get(["x1", "x2"])  # in line: where they are is worked out
    assert watched is not None
    lease = LeaseStore(private_server.url, "full", Settings())
    await store.enlist("w2", '{"name":"w2"}')
    lease.close()
    assert (await store.lead("w", 0))[0] > 0
    await store.progress("w", [("a", by_id["a"].attempt, Reported(1, 2, "half").encoded(by_id["a"].attempt))])
    assert (await store.remaining(600)).soon > 0
    assert await store.take_ends(["work"], announce=True) == []
    assert await store.warnings(has_hooks=True) == []
    assert await store.spent("x", 0, 1, by_key=False) == [{}, {}]
    outcomes = [succeeded(by_id["a"]), Outcome(by_id["b"], Ending.retry, b'{"type":"E","message":""}', 500_000, 60_000)]
    assert (
        await store.finish("w", [*outcomes, succeeded(by_id["c1"]), Outcome(by_id["gone"], Ending.failed, b"{}", 0, 60_000)])
        == ["accepted"] * 4
    )
    assert await store.retry("gone") == "queued"
    assert await store.cancel("cancelled") == "cancelled"
    assert await store.cancel("x3") == "cancelled"
    clock.advance(1)
    assert await store.refill() != (0, -1)
    assert (await store.promote())[0] == 2
    clock.advance(61)
    await store.expire()
    await store.refill()
    assert (await store.foresee(job("more", needs=["x"]))).answer is None
    assert (await store.take("take:t", "q=1", "q")).state == "taken"
    assert (await store.take("take:s", "c=1!", "c", lapse_us=5_000_000, wait_us=1_000_000)).state == "taken"
    assert await store.hold("take:s", "c=1!", 5_000_000) == 1
    assert (await store.tend(["x", "c"], [("take:s", 5_000_000)])).is_led
    await store.pause("x", on=True, reason="")
    await store.pause("x", on=False, reason="")
    await store.freeze("x", 10, "by")
    await store.override("x", interval("x", capacity=3).to_json(), 0, "")
    declared = {"new": "{}"}, [interval("y"), Quota("r", 1, per="month")]
    await store.publish(*declared)
    assert await store.refresh(*declared)
    assert (await store.known("", ["new"])).tasks
    assert await store.tasks()
    await store.enlist("v", "{}", ["t:work"])
    assert await store.forget("new") == "removed"
    assert not (await store.sweep()).more
    assert not await store.unhold()
    assert not (await store.open_pools()).has_pools
    assert (await store.adapt()).next_us == -1
    assert await store.observe([Observation("x", "x0", 1, 0)]) != []
    assert (await store.exchange("here", ["x"])).identity == "here"
    assert len(await store._run("lease", ["x", *[0] * 11, "", "1x1"], partition="other:x", weight=1, asks=0)) == 2
    assert await store._run("recall", bucket="x") == 1
    assert len(await store._run("sharers", bucket="x")) == 3
    assert await store.open_batch("b", "run", 0) == "new"
    assert not (await store.link(node_of_batch("b"), ["b"])).over
    assert await store.seal(node_of_batch("b")) == ("sealed", 1)
    assert (await store.members(node_of_batch("b"))) is not None
    assert [batch.id for batch in await store.batches()] == ["b"]
    assert not await store.advance()
    assert [pool.name for pool in await store.pools()] == ["default"]
    assert {worker.id for worker in await store.workers()} >= {"w", "w2"}
    await store.reconcile("w", [by_id["x0"]])
    await store.trim()
    await store.limits()
    assert (await store.counts()).failed == 0
    assert (await store.overview()).limits
    assert (await store.line("x", 0, 10)).bucket == "x"
    assert (await store.waiting_buckets("x")).total == 0
    assert (await store.select(question_of(EVERY_JOB))).ids
    assert not (await store.groups(question_of(EVERY_JOB))).cursor
    assert len(await store.cursor_secret()) == 64
    await store.check_format()
    assert isinstance(await store.set_pause(Pausable.task, "work", "repair", 0), PauseStatus)
    assert len(await store.list_pauses()) == 1
    assert await store.end_pause(Pausable.task, "work") is not None
    await store.unpause()
    await put(store, "hourly", every=3_600)
    assert await store.schedule_names() == ["hourly"]
    assert (await store.due())[2] == []
    assert await store.drowse() == (0, [])
    await store.repair()
    await store.begin_bulk("all", BulkAction.cancel, question_of(JobFilter(task="no-such-task")), {})
    while (await store.bulk("all")).more:
        pass
    await store.confirm_bulk("all", 0)
    await store.stop_bulk("all")
    await store.read_bulk("all")
    await store.delete("cancelled")
    assert await store.reset("x", "paid")
    key = ApiKey("abcdefgh", "billing", (Scope.jobs_read,), (("0" * 64, 0),))
    assert await store.change_key(None, key, "key created", "observer")
    assert (await store.keys_of([key.id], used=["0" * 64])).has_keys
    await store.note_refusals([("refused", "address 192.0.2.1", "9 times")])
    assert not await store.retime()
    assert await store.rouse(0) == 0
    assert (await store.orphans(b"0"))[1] == 0
    assert (await store.reclaim())[0] > 0
    clock.advance(60)
    assert await store.sample() >= 0
    assert (await store.roll()).moved > 0
    hour = clock.now_us // 3_600_000_000
    assert (await store.history(await store.series(), hour, hour, by_minute=True)).rows["q"]
    assert (await store.ended_in_a_day())[0]["succeeded"] == 2

    assert set(scripts_run) == set(script_names()) - MAKE_JOBS
    assert (await states(store, ["a", "c1", "gone", "x3"])) == ["succeeded", "succeeded", "queued", "cancelled"]


async def test_a_lease_is_renewed_though_memory_is_full(private_server: Server) -> None:
    store = JobStore(private_server.url, "full", Settings())
    await store.enlist("w", "{}")
    before = await command(store.redis, "ZSCORE", store.keys.workers, "w")
    await set_full(store)
    lease = LeaseStore(private_server.url, "full", Settings())

    assert lease.renew("w") == []

    lease.close()
    assert float(await command(store.redis, "ZSCORE", store.keys.workers, "w")) > float(before)
    await store.close()


async def test_forcing_costs_nothing_while_there_is_memory(store: JobStore) -> None:
    await enlist(store, "w")
    await store.claim("w", ClaimRequest(1, read_more=True))
    before = (await command(store.redis, "INFO", "commandstats")).decode()

    await store.claim("w", ClaimRequest(1, read_more=True))

    assert "cmdstat_del:" not in before
    assert "cmdstat_del:" not in (await command(store.redis, "INFO", "commandstats")).decode()


def test_only_new_work_is_refused() -> None:
    assert [name for name in script_names() if load(name).refused_when_full] == sorted(MAKE_JOBS)


def test_the_answer_of_a_full_redis_6_2_is_known_inside_a_script_error() -> None:
    wrapped = "ERR Error running script (call to f_0a1b): @user_script:12: @user_script: 12: -{} Redis said so."
    full, away, wrong = (ResponseError(wrapped.format(word)) for word in ("OOM", "READONLY", "WRONGTYPE"))

    assert [is_full(error) for error in (full, away, wrong)] == [True, False, False]
    assert [is_transient(error) for error in (full, away, wrong)] == [True, True, False]


def note_scripts(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the scripts this store runs from now on."""
    names: list[str] = []
    run = store._run

    async def noting(name: str, /, *args: Any, **arguments: Any) -> Any:
        names.append(name)
        return await run(name, *args, **arguments)

    monkeypatch.setattr(store, "_run", noting)
    return names


def fill_after_first_part(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store._run

    async def filling(name: str, /, *args: Any, **arguments: Any) -> Any:
        answer = await run(name, *args, **arguments)
        if name == "submit":
            await set_full(store)
        return answer

    monkeypatch.setattr(store, "_run", filling)
