"""Entries that a worker holds and does not start: another worker gets the job, which has taken nothing, or it is a dead letter."""

import pytest

from runner.connection.client import command
from runner.limits import Concurrency
from runner.store.claimed import HeldEntry
from runner.store.claims import ClaimRequest, Declined, Look
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, enlist, ids, interval, job, publish, read, slot
from tests.store.inside import bucket_state, field, pending_count, scores, spoken_for, states, stream_ids

ERROR = b'{"type":"ClaimRefused","message":"no"}'
UNSERVED = "\nnew\n"


async def held_one(store: JobStore, name: str = "j", *needs: str, task: str = "work") -> HeldEntry:
    """An entry that the worker has read."""
    await enlist(store, "w")
    await store.submit([job(name, needs=list(needs), task=task)])
    (entry,) = await read(store, "w", 1, 1)
    return entry


async def test_a_job_that_another_worker_serves_has_taken_no_token(store: JobStore) -> None:
    await publish(store, interval("x"), Concurrency("c", 1))
    await store.enlist("v", "{}", ["t:new"])
    await enlist(store, "w")
    await store.submit([job("j", needs=["x", slot("c")], task="new"), job("k", needs=["x", slot("c")])])

    claimed = await store.claim("w", ClaimRequest(5, read_more=True, unserved=UNSERVED))

    assert ids(claimed.jobs) == []
    assert [entry[2] for entry in claimed.unserved] == [b"j"]
    assert await spoken_for(store, "x") == (1, 1)
    assert (await bucket_state(store, "x")).deficit == 0
    answers = await store.decline("w", [Declined(entry) for entry in claimed.unserved])
    assert list(answers) == ["accepted"]
    assert await states(store, ["j", "k"]) == ["scheduled", "waiting"]
    assert await pending_count(store, "w") == 0
    (status,) = await store.get(["j"])
    assert status is not None
    assert (status.reason, status.attempt) == ("bounced", 0)
    await store.refill()
    assert ids(await claim(store)) == ["k"]


async def test_a_job_that_nobody_serves_waits_for_a_worker(store: JobStore) -> None:
    held = await held_one(store, task="new")

    claimed = await store.claim("w", ClaimRequest(5, [held], look=Look.no, unserved=UNSERVED))
    await store.decline("w", [Declined(entry) for entry in claimed.unserved])

    assert list(await scores(store, store.keys.held("new"))) == ["j"]
    (status,) = await store.get(["j"])
    assert status is not None
    assert (status.state, status.reason) == ("waiting", "no worker")


async def test_other_tasks_start_as_ever_beside_one_that_is_unserved(store: JobStore) -> None:
    await enlist(store, "w")
    await store.submit([job(f"j{number}", task="new" if number % 3 else "newer") for number in range(9)])

    claimed = await store.claim("w", ClaimRequest(20, read_more=True, unserved=UNSERVED))

    assert ids(claimed.jobs) == ["j0", "j3", "j6"]
    assert [entry[2].decode() for entry in claimed.unserved] == ["j1", "j2", "j4", "j5", "j7", "j8"]


@pytest.mark.parametrize("needs", [[], ["x"]])
async def test_one_that_nobody_can_start_is_a_dead_letter(store: JobStore, needs: list[str]) -> None:
    await publish(store, interval("x"))
    held = await held_one(store, "j", *needs)

    assert list(await store.decline("w", [Declined(held, ERROR)])) == ["accepted"]

    (status,) = await store.get(["j"])
    assert status is not None
    assert status.error is not None
    assert (status.state, status.error.type, status.attempt) == ("failed", "ClaimRefused", 0)
    assert await spoken_for(store, "x") == (0, 0)
    assert await stream_ids(store) == []
    assert list(await scores(store, f"{store.keys.prefix}failed")) == ["j"]


async def test_what_was_started_unseen_gives_its_slot_back_and_keeps_its_tokens(store: JobStore) -> None:
    await publish(store, interval("x", capacity=2), Concurrency("c", 1))
    await enlist(store, "w")
    await store.submit([job("j", needs=["x", slot("c")])])
    (started,) = await claim(store)

    await store.decline("w", [Declined((1, started.entry, b"j"), ERROR)])

    assert await states(store, ["j"]) == ["failed"]
    assert await field(store, "c", "used") == 0
    assert (await bucket_state(store, "x")).deficit > 0


async def test_said_twice_or_late_it_changes_nothing(store: JobStore) -> None:
    held = await held_one(store)
    await store.enlist("v", "{}", ["t:work"])
    await store.decline("w", [Declined(held)])
    before = await command(store.redis, "HGETALL", store.keys.job("j"))

    assert list(await store.decline("w", [Declined(held), Declined(held, ERROR)])) == ["stale", "stale"]

    assert await command(store.redis, "HGETALL", store.keys.job("j")) == before


async def test_an_entry_that_went_back_meanwhile_is_not_taken_from_who_holds_it_now(store: JobStore, clock: Clock) -> None:
    held = await held_one(store)
    await crash(store)
    await enlist(store, "v")
    assert ids(await claim(store, worker="v")) == ["j"]

    assert list(await store.decline("w", [Declined(held, ERROR)])) == ["stale"]

    assert await states(store, ["j"]) == ["running"]
    assert await pending_count(store, "v") == 1


async def test_a_job_that_ended_meanwhile_only_frees_its_entry(store: JobStore) -> None:
    held = await held_one(store)
    await store.cancel("j")

    assert list(await store.decline("w", [Declined(held, ERROR)])) == ["accepted"]

    assert await states(store, ["j"]) == ["cancelled"]
    assert await stream_ids(store) == []


async def test_all_that_a_worker_holds_is_listed_page_by_page(store: JobStore) -> None:
    await enlist(store, "w")
    await store.submit([job(f"j{number}") for number in range(250)])
    entries: list[HeldEntry] = []
    while len(entries) < 250:
        entries += await read(store, "w", 50, 1)

    assert sorted(await store.held("w")) == sorted(entries)
    assert await store.held("v") == []


@pytest.mark.parametrize("kind", ["another type", "gone"])
async def test_a_record_that_is_none_only_frees_its_entry(store: JobStore, kind: str) -> None:
    held = await held_one(store)
    await command(store.redis, "DEL", store.keys.job("j"))
    if kind == "another type":
        await command(store.redis, "SET", store.keys.job("j"), "x")

    assert list(await store.decline("w", [Declined(held, ERROR)])) == ["accepted"]

    assert await stream_ids(store) == []
    await command(store.redis, "DEL", store.keys.job("j"))


async def test_a_bucket_whose_key_holds_something_else_holds_up_no_other(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("y", capacity=5))
    await enlist(store, "w")
    await store.submit([job("a", needs=["x"]), job("b", needs=["x"]), job("c", needs=["y"]), job("d")])
    await command(store.redis, "DEL", store.keys.bucket("x"))
    await command(store.redis, "SET", store.keys.bucket("x"), "no hash")
    started = []
    for _ in range(4):
        clock.advance(2)
        started += await claim(store)
        await store.refill()

    assert sorted(ids(started)) == ["c", "d"]

    await command(store.redis, "DEL", store.keys.bucket("x"))
    clock.advance(10)
    await store.refill()
    assert ids(await claim(store)) == ["a"]


async def test_jobs_that_find_no_room_come_back_the_later_the_more_there_are(store: JobStore, clock: Clock) -> None:
    await enlist(store, "w")
    await store.submit([job(f"j{n}", task="heavy") for n in range(400)])

    while (claimed := await store.claim("w", ClaimRequest(100, read_more=True, unserved="\nheavy\n"))).unserved:
        await store.decline("w", [Declined(entry, is_busy=True) for entry in claimed.unserved])

    waits = [due - clock.now_us for due in (await scores(store, store.keys.scheduled)).values()]
    assert len(waits) == 400
    assert 25_000 <= min(waits) <= 50_000
    assert 400_000 <= max(waits) <= 800_000
    (status,) = await store.get(["j2"])
    assert status is not None
    assert (status.state, status.reason, status.attempt) == ("scheduled", "slots", 0)
