"""Pauses of a queue, a task, a pool and the bucket of a key: once the call has answered nothing of it starts, and what waits says why."""

import json

import pytest

from runner.access import Actor, acting
from runner.errors import BacklogFull
from runner.jobs import Pausable, PauseStatus, Priority
from runner.limits import TokenBucket
from runner.store import Level, PauseRefusal, examine_pauses
from runner.store.claims import ClaimRequest, Declined, Look
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, crash, finish_all, ids, interval, job, jobs, publish, read
from tests.store.inside import line_ids, nudged, scores, states, stream_ids, wakes
from tests.store.test_held import place

S = 1_000_000
QUEUE, TASK, POOL, KEY = Pausable


async def pause(store: JobStore, what: Pausable = QUEUE, name: str = "", reason: str = "repair", end_s: float = 0) -> PauseStatus:
    answer = await store.set_pause(what, name, reason, round(end_s * S))
    assert isinstance(answer, PauseStatus), answer
    return answer


async def unpause_all(store: JobStore) -> None:
    while await store.unpause() == 0:
        pass


async def audited(store: JobStore) -> list[tuple[str, str, str, str]]:
    return [(line.action, line.target, line.before, line.after) for line in await store.audit("-", 100)]


async def test_nothing_of_a_paused_queue_starts_whatever_calls(store: JobStore) -> None:
    await publish(store, interval(capacity=5))
    await store.submit([job("plain"), job("limited", needs=["x"])])
    await claim(store, 0)
    held = await read(store, "w", 1)
    assert len(held) == 1
    await pause(store)

    for request in (
        ClaimRequest(9, read_more=True),
        ClaimRequest(9, held),
        ClaimRequest(1, held[:1], look=Look.no),
        ClaimRequest(9, look=Look.yes),
    ):
        claimed = await store.claim("w", request)
        assert (claimed.jobs, claimed.paused_after is not None) == ([], True)
    entries, claimed = await store.wait_and_claim("w", ClaimRequest(9), [b"0-0"] * 3, block_s=0.01)
    assert (len(entries), claimed.jobs) == (1, [])

    await store.end_pause(QUEUE, "")
    assert set(ids((await store.claim("w", ClaimRequest(9, [*held, *entries]))).jobs)) == {"plain", "limited"}


async def test_a_paused_queue_releases_nothing_and_its_wakes_are_served_when_it_goes_on(store: JobStore, clock: Clock) -> None:
    await publish(store, interval(capacity=1))
    await store.submit([job("first", needs=["x"]), job("second", needs=["x"])])
    assert ids(await claim(store)) == ["first"]
    await pause(store)
    clock.advance(10)

    assert await store.refill() == (0, -1)
    assert await line_ids(store, "1|x") == ["second"]
    await nudged(store)
    await store.end_pause(QUEUE, "")
    assert await nudged(store)
    assert (await store.refill())[0] == 1
    assert ids(await claim(store)) == ["second"]


async def test_a_pause_is_over_at_its_end_by_itself(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("tenant", rate="10/s", burst=10, key="{t}"))
    await store.submit([job("plain"), job("keyed", needs=["tenant/a"])])
    await pause(store, QUEUE, end_s=5)
    await pause(store, KEY, "tenant/a", end_s=7)
    claimed = await store.claim("w", ClaimRequest(9)) if await claim(store) == [] else None
    assert claimed is not None
    assert claimed.next_wake_us == 5 * S
    assert await store.refill() == (0, 5 * S)
    assert await store.unpause() == 5 * S

    clock.advance(5)
    assert ids(await claim(store)) == ["plain"]
    assert await place(store, "keyed") == ("waiting", "paused")
    assert await store.refill() == (0, 2 * S)
    clock.advance(2)
    assert (await store.refill())[0] == 1
    assert ids(await claim(store)) == ["keyed"]
    assert await store.unpause() == -1
    assert await store.list_pauses() == []
    assert await store.redis.exists(store.keys.pauses) == 0
    (over,) = [line for line in await store.audit("-", 100) if line.action == "resume" and line.target == "key tenant/a"]
    assert (over.before, over.after, over.outcome, over.door) == ("paused: repair", "open", "its time is over", "leader")


async def test_jobs_of_a_paused_task_step_aside_once_and_come_back_to_their_places(store: JobStore, clock: Clock) -> None:
    await publish(store, interval(capacity=1))
    await store.submit([job(f"{task}{n}", task=task, needs=["x"]) for n in range(3) for task in ("a", "b")])
    await store.submit([job(f"{task}-plain{n}", task=task) for n in range(2) for task in ("a", "b")])
    await pause(store, TASK, "a")

    assert ids(await claim(store)) == ["b-plain0", "b-plain1"]
    assert list(await scores(store, store.keys.parked_jobs("a"))) == ["a0", "a-plain0", "a-plain1"]
    served = []
    for _ in range(4):
        await store.refill()
        served += ids(await claim(store))
        clock.advance(1)
    assert served == ["b0", "b1", "b2"]
    assert list(await scores(store, store.keys.parked_jobs("a"))) == ["a0", "a1", "a2", "a-plain0", "a-plain1"]
    assert await place(store, "a1") == ("waiting", "paused")

    await store.submit([job("later", task="b", needs=["x"])])
    assert ids(await claim(store)) == ["later"]
    await store.submit([job("last", task="b", needs=["x"]), job("b-plain2", task="b")])
    await store.end_pause(TASK, "a")
    await unpause_all(store)
    assert await line_ids(store, "1|x") == ["a0", "a1", "a2", "last"]
    assert ids(await claim(store)) == ["b-plain2", "a-plain0", "a-plain1"]
    assert await store.redis.exists(store.keys.parked, store.keys.parked_jobs("a")) == 0


async def test_a_paused_task_at_the_head_of_a_line_blocks_nobody(store: JobStore, clock: Clock) -> None:
    await publish(store, interval(capacity=3, refill=3), interval("y", capacity=3, refill=3))
    await store.submit([job("now", needs=[("x", 3)]), *jobs(5, "p", task="paused", needs=[("x", 3)]), job("other", needs=["x"])])
    await store.submit(
        [job("nowy", needs=[("x", 1), ("y", 3)]), *jobs(3, "q", task="paused", needs=["x", "y"]), job("both", needs=["x", "y"])]
    )
    await claim(store)
    await pause(store, TASK, "paused")
    served = []
    for _ in range(6):
        clock.advance(1)
        await store.refill()
        started = await claim(store)
        served += ids(started)
        await finish_all(store, started)
    assert set(served) >= {"other", "both", "nowy"}
    assert not [name for name in served if name[0] in "pq"]
    assert len(await scores(store, store.keys.parked_jobs("paused"))) == 8


async def test_a_lone_entry_of_a_paused_task_steps_aside_too(store: JobStore) -> None:
    await store.submit([job("p", task="a")])
    await claim(store, 0)
    held = await read(store, "w", 1)
    await pause(store, TASK, "a")
    assert (await store.claim("w", ClaimRequest(9, held, look=Look.no))).jobs == []
    assert await place(store, "p") == ("waiting", "paused")
    await store.end_pause(TASK, "a")
    assert ids(await claim(store)) == ["p"]


async def test_a_line_of_a_paused_task_is_passed_in_one_release_and_takes_no_token(store: JobStore, clock: Clock) -> None:
    await publish(store, interval(capacity=2, refill=2, every=60), interval("y", capacity=2, refill=2, every=60))
    for needs in (["x"], ["x", "y"]):
        await store.submit([job(needs=needs), job(needs=needs)])
        await finish_all(store, await claim(store))
        await store.submit([*jobs(5, f"p{len(needs)}-", task="a", needs=needs), job(f"next{len(needs)}", needs=needs)])
        await pause(store, TASK, "a")
        clock.advance(60)
        assert (await store.refill())[0] == 1
        assert await stream_ids(store) == [f"next{len(needs)}"]
        await finish_all(store, await claim(store))
        assert len(await scores(store, store.keys.parked_jobs("a"))) == 5
        clock.advance(60)
        await store.end_pause(TASK, "a")
        await unpause_all(store)
        for _ in range(6):
            await store.refill()
            await finish_all(store, await claim(store))
            clock.advance(60)
        assert set(await states(store, [f"p{len(needs)}-{n}" for n in range(5)])) == {"succeeded"}


async def test_more_jobs_of_a_paused_task_than_one_call_deals_with_step_aside_page_by_page(store: JobStore) -> None:
    for n in range(7):
        await store.submit(jobs(100, f"p{n}-", task="paused"))
    await store.submit([job("behind")])
    await pause(store, TASK, "paused")
    calls = 0
    while not (started := await claim(store, 1)):
        calls += 1
    assert ids(started) == ["behind"]
    assert 5 <= calls <= 9, "as many as a call can deal with, and others behind them"
    await store.end_pause(TASK, "paused")
    pages = 0
    while await store.unpause() == 0:
        pages += 1
    assert pages > 5
    order = [one for _ in range(8) for one in ids(await claim(store, 100))]
    assert order == [f"p{n}-{i}" for n in range(7) for i in range(100)]


async def test_a_pause_of_a_key_stops_its_bucket_and_no_other(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("tenant", rate="10/s", burst=10, key="{t}"))
    await store.submit([job("a1", needs=["tenant/a"]), job("b1", needs=["tenant/b"])])
    await pause(store, KEY, "tenant/a", "they asked us to")
    await store.submit([job("a2", needs=["tenant/a"]), job("b2", needs=["tenant/b"])])

    assert ids(await claim(store)) == ["b1", "b2"]
    assert await states(store, ["a1", "a2"]) == ["waiting", "waiting"]
    (status,) = await store.get(["a2"])
    assert status is not None
    assert status.pause is not None
    assert (status.reason, status.bucket, status.pause.reason) == ("paused", "tenant/a", "they asked us to")
    assert await store.redis.ttl(store.keys.bucket("tenant/a")) == -1
    clock.advance(60)
    await store.refill()
    assert await claim(store) == []
    assert set(await wakes(store)) == {"tenant/a"}

    await store.end_pause(KEY, "tenant/a")
    assert (await store.refill())[0] == 2
    assert ids(await claim(store)) == ["a1", "a2"]


async def test_the_mark_of_a_pause_comes_back_if_its_bucket_has_lost_it(store: JobStore) -> None:
    await publish(store, TokenBucket("tenant", rate="10/s", burst=10, key="{t}"))
    await pause(store, KEY, "tenant/a")
    for loss in ("DEL", "HDEL"):
        await store.redis.execute_command(loss, store.keys.bucket("tenant/a"), *(["paused"] if loss == "HDEL" else []))
        await store.unpause()
        await store.submit([job(needs=["tenant/a"])])
        assert await claim(store) == []
    await store.redis.pexpire(store.keys.bucket("tenant/a"), 60_000)
    await store.unpause()
    assert await store.redis.ttl(store.keys.bucket("tenant/a")) == -1
    await store.end_pause(KEY, "tenant/a")
    await store.refill()
    assert len(await claim(store)) == 2


async def test_a_status_says_what_is_paused_who_did_it_why_since_when_and_until_when(store: JobStore, clock: Clock) -> None:
    await store.submit([job("j", task="charge"), job("late", delay=60)])
    clock.advance(3)
    with acting(Actor("cli:ann@web1")):
        await pause(store, QUEUE, reason="database moves", end_s=60)
    (status, late) = await store.get(["j", "late"])
    assert status is not None
    assert late is not None
    assert (status.state, status.reason, late.state) == ("waiting", "paused", "scheduled")
    since = (START_US + 3 * S) / S
    assert status.pause == PauseStatus(QUEUE, "", "cli:ann@web1", "database moves", since, since + 60)

    await pause(store, TASK, "charge")
    await store.end_pause(QUEUE, "")
    assert ids(await claim(store)) == []
    (status,) = await store.get(["j"])
    assert status is not None
    assert status.pause is not None
    assert (status.reason, status.pause.target) == ("paused", "task charge")
    assert status.state == "waiting"


async def test_the_same_pause_again_changes_nothing_and_another_reason_keeps_since_when(store: JobStore, clock: Clock) -> None:
    first = await pause(store, TASK, "a", "one")
    clock.advance(5)
    assert await pause(store, TASK, "a", "one") == first
    second = await pause(store, TASK, "a", "two", end_s=9)
    assert (second.since_at, second.reason) == (first.since_at, "two")
    assert await store.end_pause(TASK, "a") == second
    assert await store.end_pause(TASK, "a") is None
    await pause(store, QUEUE, "", "")
    await store.end_pause(QUEUE, "")
    assert await audited(store) == [
        ("pause", "task a", "open", "paused: one"),
        ("pause", "task a", "paused: one", "paused for 9 s: two"),
        ("resume", "task a", "paused: two", "open"),
        ("pause", "queue", "open", "paused"),
        ("resume", "queue", "paused", "open"),
    ]


async def test_an_end_that_has_passed_and_one_pause_too_many_are_refused(store: JobStore, clock: Clock) -> None:
    assert await store.set_pause(QUEUE, "", "", -(clock.now_us - 1)) is PauseRefusal.past
    assert await store.set_pause(QUEUE, "", "", -(clock.now_us + 367 * 86_400 * S)) is PauseRefusal.far
    for number in range(999):
        await store.set_pause(TASK, f"t{number}", "", 0)
    await store.set_pause(POOL, "gpu", "", 1_000_000)
    assert await store.set_pause(TASK, "more", "", 0) is PauseRefusal.full
    assert isinstance(await store.set_pause(TASK, "t7", "another reason", 0), PauseStatus)
    clock.advance(2)
    assert isinstance(await store.set_pause(TASK, "more", "", 0), PauseStatus), "one that is over makes room"
    assert len(await store.list_pauses()) == 1_000


async def test_pauses_are_listed_the_queue_first(store: JobStore) -> None:
    for what, name in ((KEY, "tenant/a"), (TASK, "b"), (QUEUE, ""), (TASK, "a:b"), (POOL, "gpu")):
        await pause(store, what, name)
    assert [(one.what, one.name) for one in await store.list_pauses()] == [
        (QUEUE, ""),
        (TASK, "a:b"),
        (TASK, "b"),
        (POOL, "gpu"),
        (KEY, "tenant/a"),
    ]


async def test_a_parked_job_can_be_cancelled_expires_and_counts_for_the_backlog(store: JobStore, clock: Clock) -> None:
    await store.submit([job("c", task="a"), job("e", task="a", max_wait=5), job("s", task="a")])
    await pause(store, TASK, "a")
    assert await claim(store) == []
    with pytest.raises(BacklogFull, match="has 3 jobs that have not ended"):
        await store.submit([job("new")], most_backlog=3)
    assert await store.cancel("c") == "cancelled"
    clock.advance(6)
    await store.expire()
    assert await states(store, ["c", "e", "s"]) == ["cancelled", "expired", "waiting"]
    assert (await store.remaining(0)).unserved == 1
    await store.retry("c")
    assert await claim(store) == []
    await store.end_pause(TASK, "a")
    assert ids(await claim(store)) == ["s", "c"]


async def test_jobs_of_a_paused_task_are_parked_from_wherever_they_come(store: JobStore, clock: Clock) -> None:
    await store.submit([job("delayed", task="a", delay=1), job("crashed", task="a"), job("given back", task="a")])
    (crashed,) = await claim(store, 1, "v")
    (back,) = await claim(store, 1)
    await pause(store, TASK, "a")
    clock.advance(1)
    await store.promote()
    await crash(store, "v")
    await store.reconcile("w", [])
    assert (crashed.id, back.id) == ("crashed", "given back")
    assert await claim(store) == []
    assert set(await scores(store, store.keys.parked_jobs("a"))) == {"delayed", "crashed", "given back"}
    await store.end_pause(TASK, "a")
    assert len(await claim(store)) == 3


async def test_a_released_job_of_a_paused_task_frees_what_was_reserved_for_it(store: JobStore) -> None:
    await publish(store, interval(capacity=1, every=60))
    await store.submit([job("p", task="a", needs=["x"]), job("next", needs=["x"])])
    assert await stream_ids(store) == ["p"]
    await pause(store, TASK, "a")
    await claim(store)
    await store.refill()
    assert ids(await claim(store)) == ["next"]
    await store.end_pause(TASK, "a")
    assert await line_ids(store, "1|x") == ["p"]


async def test_who_waits_for_a_change_hears_of_each_pause_and_resumption(store: JobStore) -> None:
    await store.submit([job("j")])
    await claim(store, 0)
    await pause(store)
    after = (await store.claim("w", ClaimRequest(1))).paused_after
    assert after is not None
    await store.end_pause(QUEUE, "")
    await store.wait_for_change(after, 60)  # at once: it has changed since the claim
    assert await store.redis.xlen(store.keys.changes) == 2


async def test_live_workers_that_do_not_know_of_pauses_are_counted(store: JobStore, clock: Clock) -> None:
    await store.enlist("old", "{}")
    await store.enlist("new", json.dumps({"honours": ["pauses"]}))
    assert (await pause(store)).unaware_workers == 1
    clock.advance(60)
    assert (await pause(store)).unaware_workers == 0


@pytest.mark.parametrize("damage", ["nonsense", '"text"', "{}", "[]"])
async def test_a_damaged_record_pauses_nothing_and_can_be_removed(store: JobStore, damage: str) -> None:
    await store.redis.hset(store.keys.pauses, "queue", damage)
    await store.submit([job("j")])
    assert ids(await claim(store)) == ["j"]
    assert await store.list_pauses() == []
    await store.end_pause(QUEUE, "")
    assert await store.redis.exists(store.keys.pauses) == 0


@pytest.mark.parametrize("key", ["parked", "parked:a"])
async def test_a_job_that_cannot_step_aside_comes_again_and_is_not_lost(store: JobStore, clock: Clock, key: str) -> None:
    await publish(store, interval(capacity=1))
    await store.submit([job("p", task="a"), job("first", needs=["x"]), job("q", task="a", needs=["x"])])
    await claim(store)
    await store.redis.set(f"{store.keys.prefix}{key}", "text", ex=60)
    await pause(store, TASK, "a")
    await crash(store)
    clock.advance(1)
    await store.refill()
    await store.enlist("w", "{}")
    claimed = await store.claim("w", ClaimRequest(9, read_more=True))
    assert {one.task for one in claimed.jobs} <= {"work"}
    await finish_all(store, claimed.jobs)
    assert {entry[2] for entry in claimed.busy} <= {b"p", b"q"}
    declined = await store.decline("w", [Declined(entry, is_busy=True) for entry in claimed.busy])
    assert set(declined) <= {"accepted"}
    await store.redis.delete(f"{store.keys.prefix}{key}")
    await store.end_pause(TASK, "a")
    for _ in range(12):
        clock.advance(2)
        await store.promote()
        await store.refill()
        await finish_all(store, await claim(store))
    assert set(await states(store, ["p", "q", "first"])) == {"succeeded"}


async def test_doctor_names_what_is_paused_and_who_claims_all_the_same(store: JobStore) -> None:
    assert (await examine_pauses(store)).level is Level.ok
    await store.enlist("old", "{}")
    await store.enlist("new", json.dumps({"honours": ["pauses"]}))
    with acting(Actor("cli:ann@web1")):
        await pause(store, TASK, "charge", "the provider is down")
    found = await examine_pauses(store)
    assert found.level is Level.warning
    assert "task charge (by cli:ann@web1: the provider is down)" in found.text
    assert "what old claims starts" in found.text


async def test_a_key_of_another_type_in_the_place_of_the_pauses_stops_nobody(store: JobStore) -> None:
    await store.redis.set(store.keys.pauses, "text", ex=60)
    await store.submit([job("j", priority=Priority.high)])
    assert ids(await claim(store)) == ["j"]
    assert await store.list_pauses() == []
    await store.unpause()
