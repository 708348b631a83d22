"""Claims: a line of several limits that has had its turn everywhere gets its tokens at its date, whoever comes, and wastes none till then."""

import pytest

from runner.connection.client import command
from runner.limits import Concurrency, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, interval, job, jobs, publish, slot
from tests.store.inside import inconsistencies, states


async def play(store: JobStore, clock: Clock, seconds: float) -> list[tuple[float, str]]:
    """What starts when, with a leader that is on time, and jobs that end at once."""
    began_us, started = clock.now_us, list[tuple[float, str]]()
    while clock.now_us < began_us + seconds * 1_000_000:
        batch = await claim(store)
        started += [((clock.now_us - began_us) / 1_000_000, one.id) for one in batch]
        await finish_all(store, batch)
        released, next_us = await store.refill()
        if not batch and not released:
            clock.advance_us(min(max(next_us, 1_000) if next_us >= 0 else 1_000_000, 1_000_000))
    return started


async def test_a_claim_is_not_delayed_by_those_who_come_later(store: JobStore, clock: Clock) -> None:
    """The last fast token before each slow one is kept for it, though somebody could use it at once."""
    await publish(store, TokenBucket("fast", rate="20/min", burst=1), TokenBucket("slow", rate="6/min", burst=1))
    await store.submit([job("use-fast", needs=["fast"]), job("use-slow", needs=["slow"])])
    await finish_all(store, await claim(store))
    await store.submit(jobs(3, "both", needs=["fast", "slow"]))
    await store.submit(jobs(100, "single", needs=["fast"]))

    at = {name: round(second, 1) for second, name in await play(store, clock, 31)}

    assert [at.get(f"both{n}") for n in range(3)] == [10, 20, 30]
    assert [second for name, second in at.items() if name.startswith("single")] == [3, 6, 13, 16, 23, 26]


async def test_tokens_do_not_lie_idle_for_a_claim_whose_date_is_far(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("fast", rate="10/s", burst=1), interval("rare", capacity=1, refill=1, every=3600))
    await store.submit([job("use", needs=["rare"])])
    await finish_all(store, await claim(store))
    await store.submit(jobs(5, "both", needs=["fast", "rare"]))
    await store.submit(jobs(200, "single", needs=["fast"]))

    assert len(await play(store, clock, 10)) in range(99, 103)


async def test_a_raised_limit_is_used_by_a_claim_at_once(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("fast", rate="10/s", burst=1), Quota("month", 1, per="month"))
    await store.submit([job("use", needs=["month"])])
    await finish_all(store, await claim(store))
    await store.submit(jobs(3, "both", needs=["fast", "month"]))
    assert await play(store, clock, 5) == []

    await publish(store, Quota("month", 3, per="month"))

    assert [name for _, name in await play(store, clock, 2)] == ["both0", "both1"]


async def test_a_paused_limit_keeps_its_lines_and_a_resumed_one_serves_them(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("fast", rate="10/s", burst=1), TokenBucket("other", rate="10/s", burst=1))
    await store.submit(jobs(1, "use", needs=["other"]))
    await finish_all(store, await claim(store))
    await store.pause("other", on=True, reason="")
    await store.submit([*jobs(6, "both", needs=["fast", "other"]), *jobs(300, "single", needs=["fast"])])
    assert {name.rstrip("0123456789") for _, name in await play(store, clock, 20)} == {"single"}

    await store.pause("other", on=False, reason="")

    assert sum(name.startswith("both") for _, name in await play(store, clock, 3)) == 6


async def test_a_slot_and_a_slow_rate_are_both_got_beside_lines_that_need_one(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("slots", 1), TokenBucket("slow", rate="20/min", burst=1))
    await store.submit(jobs(300, "slot", needs=[slot("slots")]) + jobs(100, "rate", needs=["slow"]))
    await store.submit(jobs(40, "both", needs=[slot("slots"), "slow"]))

    served = [name.rstrip("0123456789") for _, name in await play(store, clock, 120)]

    assert served.count("both") >= 15
    assert served.count("both") + served.count("rate") in range(40, 43)


async def test_the_tokens_of_a_burst_are_set_aside_for_a_line_that_needs_them_later(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("burst", capacity=10, refill=10, every=10), TokenBucket("even", rate="30/min", burst=1))
    await store.submit([job("use", needs=[("burst", 10)]), job("use-even", needs=["even"])])
    await finish_all(store, await claim(store))
    await store.submit(jobs(60, "both", needs=["burst", "even"]) + jobs(200, "single", needs=["burst"]))

    served = [name.rstrip("0123456789") for _, name in await play(store, clock, 60)]

    assert served.count("both") >= 15
    assert served.count("both") + served.count("single") >= 49


@pytest.mark.parametrize("end", ["cancel", "expire"])
async def test_a_line_that_ends_gives_up_all_that_it_kept(store: JobStore, clock: Clock, end: str) -> None:
    await publish(store, interval("burst", capacity=4, refill=4, every=10), interval("rare", every=1000), SlidingWindow("w", 2, per=5))
    await store.submit([job("use", needs=[("burst", 4)]), job("use-rare", needs=["rare", "w"]), job("use-w", needs=["w"])])
    await finish_all(store, await claim(store))
    await store.submit([job(f"both{n}", needs=["burst", "rare", "w"], max_wait=30) for n in range(3)])
    await store.submit(jobs(5, "single", needs=["burst"]))
    await play(store, clock, 25)
    assert await command(store.redis, "EXISTS", store.keys.records)

    clock.advance(6)
    for n in range(3) if end == "cancel" else ():
        await store.cancel(f"both{n}")
    await store.expire()

    assert set(await states(store, [f"both{n}" for n in range(3)])) <= {"cancelled", "expired"}
    assert await command(store.redis, "EXISTS", store.keys.records, *map(store.keys.claims, ("burst", "rare", "w"))) == 0
    assert await inconsistencies(store) == []


async def test_equal_claims_come_in_the_order_of_their_numbers(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/s", burst=1), TokenBucket("y", rate="1/s", burst=1))
    await store.submit([job("x", needs=["x"]), job("y", needs=["y"])])
    await finish_all(store, await claim(store))
    for name in "dbca":
        await store.submit([job(f"{name}{n}", needs=["x", "y"], share=name) for n in range(2)])

    assert [name for _, name in await play(store, clock, 9)] == [f"{name}{n}" for n in range(2) for name in "dbca"]


async def test_a_claim_that_lacks_a_slot_for_long_keeps_no_shared_token_from_others(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("shared", rate="10/s", burst=1), Concurrency("own", 1, key="{id}"))
    for number in range(3):  # jobs of the tenant are short as a rule
        await store.submit([job(f"short{number}", needs=[slot("own/t")])])
        await finish_all(store, await claim(store))
        clock.advance(1)
    await store.submit([job("long", needs=[slot("own/t")])])
    assert len(await claim(store)) == 1
    await store.submit(jobs(3000, "other", needs=["shared"]))
    await store.submit([job("both", needs=[slot("own/t"), "shared"])])

    assert len(await play(store, clock, 60)) >= 550
    assert len(await play(store, clock, 60)) >= 580


async def test_a_slot_that_comes_back_is_kept_for_a_claim_until_its_token_lands(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("slow", rate="1/s", burst=1), Concurrency("slots", 1))
    await store.submit([job("long", needs=[slot("slots")]), job("use", needs=["slow"])])
    long, _ = await claim(store)
    await store.submit(jobs(200, "slot", needs=[slot("slots")]) + jobs(200, "rate", needs=["slow"]))
    await store.submit(jobs(3, "both", needs=[slot("slots"), "slow"]))
    await play(store, clock, 60)
    await finish_all(store, [long])

    assert sum(name.startswith("both") for _, name in await play(store, clock, 20)) == 3


async def test_a_raised_quota_starts_the_claims_that_it_has_tokens_for(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("fast", rate="10/s", burst=1), Quota("month", 10, per="month"))
    await store.submit([job("use", needs=[("month", 10)])])
    await finish_all(store, await claim(store))
    for number in range(9):
        await store.submit([job(f"j{number}", needs=["fast", ("month", 1 if number else 8)], share=f"t{number}")])
        await play(store, clock, 1)

    await publish(store, Quota("month", 14, per="month"))
    assert [name for _, name in await play(store, clock, 3)] == ["j1", "j2", "j3", "j4"]
    await publish(store, Quota("month", 16, per="month"))  # the others have had their turn by now, and have claims behind the costly one

    assert [name for _, name in await play(store, clock, 3)] == ["j5", "j6"]
