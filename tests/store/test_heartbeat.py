"""heartbeat and lead: a lease is renewed until it is taken back; one worker leads until it resigns or is silent."""

import asyncio
from collections.abc import Sequence

import pytest

from runner.connection.client import command
from runner.errors import LeaseLost
from runner.jobs.job import Ending, Outcome
from runner.settings import Settings
from runner.store import WorkerStatus
from runner.store.job_store import JobStore
from runner.store.keys import Keys
from runner.store.lease import LeaseStore
from runner.store.portions import MOST_PER_CALL
from tests.store.builders import START_US, Clock, claim, enlist, job, jobs, read
from tests.store.inside import consumers, scores


async def renew(store: JobStore, worker: str = "w") -> list[str]:
    """What the heartbeat thread sends, at the test's time: 'ok' or 'gone', then the jobs to stop."""
    lease_us = round(store.settings.lease_s * 1e6)
    status, *answer = await store._run(
        "heartbeat", worker=worker, lease_us=lease_us, enlist=0, details="", serves="", stuck=0, defects=0, vitals="", cancelled_from=0
    )
    return [status.decode(), *(part.decode() for part in answer[1:])]


async def test_an_enlisted_worker_holds_a_lease_and_is_shown(store: JobStore) -> None:
    await store.enlist("w", '{"host":"h","tasks":["a"],"new":1}')

    assert await scores(store, store.keys.workers) == {"w": START_US + 10_000_000}
    assert await store.workers() == [
        WorkerStatus("w", leader=False, stuck=0, host="h", tasks=("a",), enlisted_at=START_US / 1e6, renewed_at=START_US / 1e6)
    ]


async def test_enlisting_twice_is_enlisting_once(store: JobStore, clock: Clock) -> None:
    await store.enlist("w", "{}")
    clock.advance(1)
    await store.enlist("w", "{}")

    assert await scores(store, store.keys.workers) == {"w": START_US + 11_000_000}


async def test_what_was_submitted_before_any_worker_came_is_not_missed(store: JobStore) -> None:
    await store.submit(jobs(2))
    await enlist(store, "w")

    assert [entry[2] for entry in await read(store, "w", 5)] == [b"j0", b"j1"]


async def test_a_renewal_moves_the_lease_on(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    clock.advance(3)

    assert await renew(store) == ["ok"]
    assert await renew(store) == ["ok"]

    assert await scores(store, store.keys.workers) == {"w": START_US + 13_000_000}


async def test_a_lapsed_lease_that_nobody_took_back_can_be_renewed(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    clock.advance(60)

    assert await renew(store) == ["ok"]


async def test_a_lease_that_was_taken_back_cannot_be_renewed(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    clock.advance(11)
    assert await store.reclaim() == (0, 1, 0)

    assert await renew(store) == ["gone"]
    assert await scores(store, store.keys.workers) == {}


async def test_a_worker_that_never_enlisted_cannot_renew(store: JobStore) -> None:
    assert await renew(store) == ["gone"]


async def test_a_renewal_tells_which_running_jobs_to_stop_until_they_have_ended(store: JobStore) -> None:
    await store.submit(jobs(3))
    started = await claim(store)
    await store.cancel("j0")
    await store.cancel("j2")

    status, *cancelled = await renew(store)
    assert (status, sorted(cancelled)) == ("ok", ["j0", "j2"])

    await store.finish("w", [Outcome(started[0], Ending.cancelled, ttl_ms=1000)])
    assert await renew(store) == ["ok", "j2"]


async def test_ten_thousand_jobs_are_stopped_in_calls_that_follow_each_other(redis_url: str, queue: str, store: JobStore) -> None:
    lease = LeaseStore(redis_url, queue, Settings())
    await enlist(store, "w")
    await command(store.redis, "SADD", store.keys.cancels("w"), *(f"j{number}" for number in range(10_000)))
    async with store.redis.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            pipeline.hset(store.keys.job(f"j{number}"), mapping={"state": "running", "worker": "w"})
        await pipeline.execute()

    assert len(await renew(store)) < 1_000
    assert sorted(await asyncio.to_thread(lease.renew, "w")) == sorted(f"j{number}" for number in range(10_000))
    lease.close()


async def test_a_request_to_stop_what_another_worker_runs_by_now_is_forgotten(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(2))
    await claim(store)
    for name in ("j0", "j1"):
        await store.cancel(name)
    await command(store.redis, "HSET", store.keys.job("j0"), "worker", "other")

    assert await renew(store) == ["ok", "j1"]
    assert await command(store.redis, "SMEMBERS", store.keys.cancels("w")) in ([b"j1"], {b"j1"})


async def test_thousands_of_attempts_that_should_have_stopped_are_told_once(
    redis_url: str, queue: str, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = LeaseStore(redis_url, queue, Settings())
    await store.submit(jobs(2 * MOST_PER_CALL + 1))
    started = [one for _ in range(4) for one in await claim(store, free=MOST_PER_CALL)]
    told: list[int] = []
    renew_once = lease._renew

    def noting(
        worker: str, said: dict[str, str | bytes | int], stopping: Sequence[tuple[str, int]], cancelled_from: int
    ) -> tuple[int, list[bytes]]:
        told.append(len(stopping))
        return renew_once(worker, said, stopping, cancelled_from)

    monkeypatch.setattr(lease, "_renew", noting)
    for _ in range(2):
        await asyncio.to_thread(lease.renew, "w", len(started), started)

    for one in (started[0], started[-1]):
        assert await command(store.redis, "HGET", store.keys.job(one.id), "stopping") == b"1"
    assert told == [MOST_PER_CALL, MOST_PER_CALL, 1, 0]
    lease.close()


async def test_the_blocking_client_renews_and_learns_that_the_lease_is_gone(redis_url: str, queue: str, store: JobStore) -> None:
    lease = LeaseStore(redis_url, queue, Settings())
    with pytest.raises(LeaseLost, match="the lease of worker w has lapsed"):
        await asyncio.to_thread(lease.renew, "w")
    await store.submit([job("a"), job("b")])
    await claim(store)
    await store.cancel("a")

    assert await asyncio.to_thread(lease.renew, "w") == ["a"]
    assert await command(store.redis, "EXISTS", store.keys.inbox("w")) == 0  # it would only tell the same again
    await store.cancel("b")
    await asyncio.to_thread(lease.wait_for_message, "w")  # returns at once: the cancellation is in the inbox
    lease.close()


async def test_the_record_of_a_worker_outlives_it_by_a_few_leases_only(store: JobStore) -> None:
    await enlist(store, "w")

    assert 0 < await command(store.redis, "PTTL", Keys(store.keys.queue).worker("w")) <= 100_000
    assert await consumers(store) == set()


# Leadership


async def lead(store: JobStore, worker: str, term: int) -> tuple[int, str]:
    term, leader, *_ = await store.lead(worker, term)
    return term, leader


async def test_who_contends_hears_how_many_workers_there_are(store: JobStore) -> None:
    await enlist(store, "a", "b", "c")

    assert (await store.lead("a", 0))[2] == 3
    assert (await store.lead("b", 0))[2] == 3


async def test_one_of_two_contenders_leads(store: JobStore) -> None:
    term, leader = await lead(store, "a", 0)
    assert (term > 0, leader) == (True, "a")

    assert await lead(store, "b", 0) == (0, "a")


async def test_the_leader_stays_leader_in_the_same_term(store: JobStore) -> None:
    term, _ = await lead(store, "a", 0)
    await command(store.redis, "PEXPIRE", store.keys.leader, 1000)

    assert await lead(store, "a", term) == (term, "a")

    assert await command(store.redis, "PTTL", store.keys.leader) > 9000


async def test_leadership_is_renewed_by_its_full_value_only(store: JobStore) -> None:
    term, _ = await lead(store, "a", 0)

    assert await lead(store, "a", term) == (term, "a")
    assert await lead(store, "a", term + 1) == (0, "a")
    assert await lead(store, "a", term + 2) == (0, "a")
    assert await lead(store, "b", term) == (0, "a")


async def test_a_worker_whose_election_was_answered_to_nobody_leads(store: JobStore) -> None:
    term, _ = await lead(store, "a", 0)  # the reply is lost

    assert await lead(store, "a", 0) == (term, "a")


async def test_a_former_leader_neither_renews_nor_ends_the_next_term(store: JobStore) -> None:
    old, _ = await lead(store, "a", 0)
    await command(store.redis, "DEL", store.keys.leader)  # its lock ran out
    new, _ = await lead(store, "b", 0)

    assert new > old
    assert await lead(store, "a", old) == (0, "b")
    await store.resign("a", old)
    assert await lead(store, "b", new) == (new, "b")


async def test_after_resigning_another_leads_at_once(store: JobStore) -> None:
    term, _ = await lead(store, "a", 0)

    await store.resign("a", term)
    await store.resign("a", term)

    assert (await lead(store, "b", 0))[1] == "b"


async def test_a_worker_may_be_named_with_colons(store: JobStore) -> None:
    term, leader = await lead(store, "host:1:2", 0)

    assert leader == "host:1:2"
    assert await lead(store, "b", 0) == (0, "host:1:2")
    assert await lead(store, "host:1:2", term) == (term, "host:1:2")


async def test_the_list_of_workers_shows_who_leads(store: JobStore) -> None:
    await enlist(store, "a", "b")
    await lead(store, "b", 0)

    assert [(row.id, row.leader) for row in await store.workers()] == [("a", False), ("b", True)]


async def test_terms_are_taken_from_the_sequence_of_jobs_without_disturbing_it(store: JobStore) -> None:
    await lead(store, "a", 0)
    await store.submit(jobs(2, needs=["nobody-published-it"]))
    await store.resign("a", 1)
    await lead(store, "a", 0)
    await store.submit(jobs(2, "k", needs=["nobody-published-it"]))

    assert list(await scores(store, store.keys.line("1|nobody-published-it"))) == ["j0", "j1", "k0", "k1"]


async def test_a_renewal_tells_how_many_defects_the_worker_has_met(redis_url: str, queue: str, store: JobStore) -> None:
    await enlist(store, "w")
    lease = LeaseStore(redis_url, queue, Settings())
    assert [worker.defects for worker in await store.workers()] == [0]

    await asyncio.to_thread(lease.renew, "w", 0, (), 3)

    assert [worker.defects for worker in await store.workers()] == [3]
    lease.close()


async def test_a_renewal_tells_how_the_process_is_and_when_that_was(redis_url: str, queue: str, store: JobStore, clock: Clock) -> None:
    await store.enlist("w", '{"version":"1.2","slots":4}')
    (fresh,) = await store.workers()
    assert (fresh.version, fresh.enlisted_at, fresh.busy, fresh.memory_bytes) == ("1.2", START_US / 1e6, None, None)
    lease = LeaseStore(redis_url, queue, Settings())

    await asyncio.to_thread(lease.renew, "w", vitals='{"busy":3,"stall_ms":12,"memory_bytes":9000,"new":1}')

    (told,) = await store.workers()
    assert (told.busy, told.stall_ms, told.memory_bytes) == (3, 12, 9000)
    assert told.enlisted_at == START_US / 1e6
    assert told.renewed_at not in (None, told.enlisted_at), "the thread has the server's own clock"
    lease.close()


async def test_many_workers_are_listed_by_few_calls(store: JobStore) -> None:
    for number in range(3):
        await store.enlist(f"w{number}", '{"tasks":["a"]}')
    names = []
    run = store._run

    async def noted(name: str, *rest: object, **named: object) -> object:
        names.append(name)
        return await run(name, *rest, **named)  # type: ignore[arg-type] # passed on as it came

    store._run = noted  # type: ignore[method-assign,assignment] # the calls are what is looked at
    assert len(await store.workers()) == 3
    assert names == ["workers"]
