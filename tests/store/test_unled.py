"""Takers in line while no worker leads the queue: each look of their own processes hands over what has landed, in the order of the line."""

import pytest

from runner.connection.client import command
from runner.limits import Concurrency, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish
from tests.store.inside import field, line_ids, states, stream_ids

S = 1_000_000
LEASE_US = 10 * S


def line_of(limits: str) -> str:
    """The line in which takers of one limit stand, as jobs of normal priority do."""
    return f"1|{limits.partition('=')[0]}"


async def stand(store: JobStore, *names: str, limits: str = "x=1", lapse_us: int = 0) -> None:
    for name in names:
        decision = await store.take(f"take:{name}", limits, line_of(limits), lapse_us=lapse_us, wait_us=LEASE_US)
        assert decision.state == "waiting"


async def spend(store: JobStore, limits: str = "x=1") -> None:
    """Take what there is, so that who comes next stands in line."""
    lapse_us = 1_000 * S if "!" in limits else 0
    assert (await store.take("take:first", limits, line_of(limits), lapse_us=lapse_us)).state == "taken"


async def alive(store: JobStore) -> None:
    """A worker holds a lease and leads."""
    await store.enlist("w", "{}")
    assert (await store.lead("w", 0))[1] == "w"


async def test_a_look_hands_over_the_token_that_has_landed_and_tells_when_the_next_one_does(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await spend(store)
    await stand(store, "a", "b")
    assert await store.tend(["x"]) == (False, 0, 0, [S])

    clock.advance_us(S + 300)
    assert await store.tend(["x"]) == (False, 1, 300, [S])

    assert await states(store, ["take:a", "take:b"]) == ["succeeded", "waiting"]
    clock.advance(1)
    assert (await store.tend(["x"])).waits_us == [-1]
    assert await states(store, ["take:b"]) == ["succeeded"]


async def test_two_processes_that_look_at_once_hand_over_a_token_once(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await spend(store)
    await stand(store, "a", "b", "c")
    clock.advance(1)

    assert [(await store.tend(["x"])).served for _ in range(2)] == [1, 0]
    assert await states(store, ["take:a", "take:b"]) == ["succeeded", "waiting"]


async def test_nothing_is_served_while_a_worker_leads_unless_it_is_late(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await spend(store)
    await stand(store, "a")
    await alive(store)

    clock.advance(2)
    assert await store.tend(["x"]) == (True, 0, S, [0])
    clock.advance_us(1)
    assert (await store.tend(["x"])).served == 1


async def test_a_ticket_that_is_tended_stays_in_line_for_days(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=400_000))
    await spend(store)
    await stand(store, "a", "b")
    for _ in range(30):
        clock.advance(9)
        assert (await store.tend([], [("take:a", LEASE_US)])).waits_us == []
        await store.expire()
    assert await states(store, ["take:a", "take:b"]) == ["waiting", "expired"]

    for _ in range(2):
        await store.tend([], [("take:a", 200_000 * S)])
        clock.advance(190_000)
        await store.expire()
    assert await states(store, ["take:a"]) == ["waiting"]

    clock.advance(20_000)
    await store.tend(["x"], [("take:a", LEASE_US)])
    assert await states(store, ["take:a"]) == ["succeeded"]


async def test_a_ticket_whose_caller_has_vanished_is_in_nobodys_way(store: JobStore, clock: Clock) -> None:
    """Nobody else looks: no worker, and no taker in line."""
    await publish(store, TokenBucket("x", rate="1/100s", burst=5))
    await spend(store, "x=5")
    await stand(store, "gone", limits="x=5")
    clock.advance(100)

    assert (await store.take("take:b", "x=1", "1|x")).state == "taken"

    assert await states(store, ["take:gone"]) == ["expired"]
    assert await command(store.redis, "EXISTS", store.keys.line("1|x"), store.keys.lines_waiting("x"), store.keys.expiring) == 0


async def test_what_a_vanished_caller_was_still_served_lapses(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("c", 1))
    await spend(store, "c=1!")
    await stand(store, "gone", limits="c=1!", lapse_us=LEASE_US)
    await store.hold("take:first", "c=1!", 0)
    assert await states(store, ["take:gone"]) == ["succeeded"]

    assert (await store.take("take:b", "c=1!", "1|c", lapse_us=LEASE_US)).state == "refused"
    clock.advance_us(LEASE_US)
    assert (await store.take("take:b", "c=1!", "1|c", lapse_us=LEASE_US)).state == "taken"


async def test_tending_a_ticket_that_has_ended_leaves_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await spend(store)
    await stand(store, "a", "b")
    clock.advance(1)
    await store.tend(["x"])
    await store.cancel("take:b")

    await store.tend([], [("take:a", LEASE_US), ("take:b", LEASE_US), ("take:never", LEASE_US)])

    assert await command(store.redis, "EXISTS", store.keys.expiring) == 0


async def test_jobs_and_tickets_keep_their_common_order_and_a_job_without_a_worker_holds_no_token(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await spend(store)
    await store.submit(jobs(2, "before", needs=["x"]))
    await stand(store, "a")
    await store.submit([job("after", needs=["x"])])
    turns = []
    for _ in range(4):
        clock.advance(1)
        assert (await store.tend(["x"])).served == 1
        turns.append([*await stream_ids(store), *await states(store, ["take:a"])])

    assert turns == [
        ["before0", "waiting"],
        ["before0", "before1", "waiting"],
        ["before0", "before1", "succeeded"],
        ["before0", "before1", "after", "succeeded"],
    ]
    clock.advance(1)
    assert ids(await claim(store)) == ["before0"]
    assert await line_ids(store, "1|x") == ["before1", "after"]


async def test_a_job_that_a_live_worker_is_about_to_claim_keeps_its_token(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await spend(store)
    await store.submit([job("before", needs=["x"])])
    await stand(store, "a")
    await store.enlist("w", "{}")
    for _ in range(3):
        clock.advance(1)
        await store.tend(["x"], [("take:a", LEASE_US)])

    assert await states(store, ["take:a"]) == ["waiting"]
    assert ids(await claim(store)) == ["before"]


@pytest.mark.parametrize("led", [False, True])
async def test_a_slot_given_back_goes_to_who_waits_in_the_same_step_if_no_worker_leads(store: JobStore, led: bool) -> None:
    await publish(store, Concurrency("c", 1))
    await spend(store, "c=1!")
    await stand(store, "a", limits="c=1!", lapse_us=LEASE_US)
    if led:
        await alive(store)

    await store.hold("take:first", "c=1!", 0)

    assert await states(store, ["take:a"]) == ["waiting" if led else "succeeded"]
    assert await field(store, "c", "used") == (0 if led else 1)


async def test_who_comes_later_takes_nothing_before_those_in_line(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, refill=2, every=1))
    await spend(store, "x=2")
    await stand(store, "a")
    clock.advance(1)

    assert (await store.take("take:late", "x=2", "1|x")).state == "refused"
    assert await states(store, ["take:a"]) == ["succeeded"]
    assert (await store.take("take:later", "x=1", "1|x")).state == "taken"


async def test_a_change_of_limits_that_no_leader_works_off_reaches_those_who_look(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("k", every=1_000, key="{id}"))
    for number in range(300):
        await spend(store, f"k/{number:03}=1")
        await stand(store, f"t{number}", limits=f"k/{number:03}=1")
    await store.override("k", interval("k", every=5, key="{id}").to_json(), 0, "")
    clock.advance(5)

    assert (await store.tend(["k/000", "k/299"])).served == 2
    for number in range(1, 299):
        await store.cancel(f"take:t{number}")


@pytest.mark.parametrize("every", [2.0, 1_000.0])
async def test_a_job_that_waits_for_another_limit_too_keeps_no_taker_waiting_for_long(store: JobStore, clock: Clock, every: float) -> None:
    await publish(store, interval("x"), interval("y", every=every))
    await spend(store)
    await spend(store, "y=1")
    await store.submit([job("both", needs=["x", "y"]), job("other", needs=["x", "y"])])
    await stand(store, "a", "b", "c")
    looks = 0
    while (await states(store, ["take:c"])) == ["waiting"] and looks < 12:
        clock.advance(1)
        looks += 1
        await store.tend(["x"], [(f"take:{name}", LEASE_US) for name in "abc"])

    assert await states(store, ["take:a", "take:b", "take:c"]) == ["succeeded"] * 3
    assert looks <= 5


async def test_a_claim_that_waits_for_a_paused_limit_keeps_no_token_from_takers(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=1), TokenBucket("y", rate="6/min", burst=1))
    await store.submit([job("use-x", needs=["x"]), job("use-y", needs=["y"])])
    await finish_all(store, await claim(store))
    await store.submit(jobs(3, "both", needs=["x", "y"]))
    for seconds in (0, 9.5, 0.2):
        clock.advance(seconds)
        await store.refill()
    await store.pause("y", on=True, reason="")
    clock.advance(30)  # no worker is at work from here on

    names = [f"take:{number}" for number in range(3)]
    for name in names:
        await store.take(name, "x=1", "1|x", wait_us=100 * S)
    for _ in range(10):
        await store.tend(["x"], [(name, 100 * S) for name in names])
        clock.advance(1)

    assert "waiting" not in await states(store, names)
