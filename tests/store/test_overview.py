"""overview: how a queue stands in one bounded answer, which all who ask share for a moment."""

import json
from typing import Any

import pytest

from runner.client.overview_figures import Memory, figures
from runner.connection.client import command
from runner.jobs import Ending, Pausable
from runner.limits import Concurrency, LimitState, Quota, TokenBucket
from runner.store import LimitOverview, Overview
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, end, enlist, finish_all, interval, job, jobs, make_store, publish, slot

MOST_COMMANDS = 12_000
"""What one answer may cost Redis, however much there is: some 5 ms."""


async def look(store: JobStore, memory: Memory | None = None, **options: Any) -> Overview:
    memory = Memory() if memory is None else memory
    return figures(await store.overview(memory.text, serves_ms=0, **options), memory, "q")


async def one(store: JobStore, name: str, memory: Memory | None = None) -> LimitOverview:
    (found,) = [limit for limit in (await look(store, memory)).limits if limit.name == name]
    return found


async def states(store: JobStore) -> dict[str, str]:
    return {limit.name: limit.state.value for limit in (await look(store)).limits}


def reasons(overview: Overview) -> dict[str, int]:
    assert overview.reasons is not None
    return {reason: number for reason, number in overview.reasons.items() if number}


async def commands(store: JobStore) -> int:
    """How many commands the server has run, those of scripts too."""
    stats = await command(store.redis, "INFO", "commandstats")
    return sum(int(part) for line in stats.decode().split() for part in [line.partition("calls=")[2].partition(",")[0]] if part)


async def test_an_empty_queue_is_told_as_one(store: JobStore) -> None:
    seen = await look(store)

    assert seen.jobs == dict.fromkeys(("waiting", "queued", "scheduled", "running", "succeeded", "failed", "cancelled", "expired"), 0)
    assert (seen.workers, seen.limits, seen.more, seen.oldest_wait_s, seen.finished_min) == (0, (), 0, None, 0)
    assert seen.leader is not None
    assert (seen.leader.worker, seen.leader.refill_age_s) == (None, None)
    assert json.loads(json.dumps(seen.document()))["limits"] == []


async def test_a_limit_tells_its_tokens_its_line_and_when_that_is_clear(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=2, refill=1, every=10))
    await store.submit(jobs(5, needs=["x"]))
    started = await claim(store)
    clock.advance(4)

    x, seen = await one(store, "x"), await look(store)

    assert (x.state, x.tokens, x.waiting, x.bucket, x.oldest_wait_s) == (LimitState.at_limit, 0, 3, "x", 4.0)
    assert (x.next_token_s, x.clears_in_s) == (6.0, 30.0)
    assert (x.buckets.known, x.buckets.live, x.buckets.waiting) == (1, 1, 1)
    assert seen.jobs is not None
    assert (seen.jobs["waiting"], seen.jobs["running"], reasons(seen)) == (3, 2, {"tokens": 3})
    assert seen.slots is not None
    assert (seen.slots.busy, seen.slots.stuck, seen.workers, seen.oldest_wait_s) == (2, 0, 1, 4.0)
    await finish_all(store, started)
    assert (await look(store)).finished_min == 2


async def test_the_oldest_wait_is_that_of_the_head_of_each_priority(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=100))
    await store.submit(jobs(2, "first", needs=["x"]))
    clock.advance(30)
    await store.submit(jobs(1, "late", needs=["x"], priority=0))

    assert (await one(store, "x")).oldest_wait_s == 30.0, "the job of high priority stands first, and has waited least"


async def test_costs_count_in_the_time_until_a_line_is_clear(store: JobStore) -> None:
    await publish(store, TokenBucket("tokens", rate="10/s", burst=1_000))
    await store.submit([job(f"j{n}", needs=[("tokens", 500)]) for n in range(6)])
    await claim(store)

    tokens = await one(store, "tokens")

    assert (round(tokens.started_s * 60), round(tokens.taken_s * 60)) == (2, 1_000)
    assert (tokens.waiting, tokens.tokens) == (4, 0)
    assert tokens.clears_in_s is not None
    assert 190 <= tokens.clears_in_s <= 210, "4 jobs of 500 tokens, told within 2 %, at 10 a second"


async def test_each_of_several_limits_is_clear_by_what_the_jobs_take_of_it(store: JobStore) -> None:
    await publish(store, TokenBucket("tokens", rate="100/s", burst=500), TokenBucket("requests", rate="1/s", burst=1))
    await store.submit([job(f"j{n}", needs=[("tokens", 500), "requests"]) for n in range(6)])
    await claim(store)

    assert (await one(store, "tokens")).clears_in_s == pytest.approx(25, abs=1)
    assert (await one(store, "requests")).clears_in_s == pytest.approx(5, abs=1), "5 jobs that take one each, not 500"


async def test_each_state_of_a_limit_has_its_word(store: JobStore, clock: Clock) -> None:
    names = ("idle", "flowing", "full", "frozen", "paused")
    await publish(store, *(interval(name, every=600) for name in names), Concurrency("slots", 1), Quota("month", 1, per="month"))
    await store.extend_calendar("month:UTC")
    await store.submit([job(needs=["flowing"]), *(job(needs=["full"]) for _ in range(2)), *(job(needs=["month"]) for _ in range(2))])
    await store.submit([job(needs=[slot("slots")]) for _ in range(2)])
    await claim(store)
    await store.freeze("frozen", 22_000_000, "429")
    await store.pause("paused", on=True, reason="repair")

    assert await states(store) == {
        "idle": "idle",
        "flowing": "flowing",
        "full": "at_limit",
        "frozen": "frozen",
        "paused": "paused",
        "slots": "slots_full",
        "month": "spent",
    }
    frozen, month, slots = await one(store, "frozen"), await one(store, "month"), await one(store, "slots")
    assert (frozen.frozen_s, frozen.frozen_by) == (22.0, "429")
    assert (month.clears_in_s, slots.clears_in_s) == (None, None), "neither has a known pace"
    assert (await one(store, "paused")).paused is not None
    clock.advance(180)
    assert (await states(store))["flowing"] == "idle"
    assert [limit.state for limit in await store.limits()] == [
        limit.state for limit in sorted((await look(store)).limits, key=lambda x: x.name)
    ]


async def test_a_line_that_waits_for_another_limit_is_not_told_as_one_at_this_limit(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("requests", rate="60/min", burst=50), TokenBucket("tokens", rate="10/s", burst=100))
    await store.submit([job(needs=["requests", ("tokens", 100)]) for _ in range(5)])
    await claim(store)
    clock.advance(10)
    await enlist(store)
    await store.refill()  # the next job starts, and those behind it stand in line at both

    assert await states(store) == {"requests": "waiting_elsewhere", "tokens": "at_limit"}
    assert (await one(store, "requests")).clears_in_s is None
    assert reasons(await look(store)) == {"tokens": 3}
    assert {limit.name: (limit.state, limit.buckets[0].needed) for limit in await store.limits()} == {
        "requests": ("waiting_elsewhere", 1),
        "tokens": ("at_limit", 100),
    }


async def test_a_line_without_a_worker_is_told_as_one_as_long_as_tokens_are_there(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit(jobs(3, needs=["x"]))
    assert await states(store) == {"x": "no_worker"}
    assert reasons(await look(store)) == {"no_worker": 2}

    await claim(store)
    assert await states(store) == {"x": "at_limit"}
    await command(store.redis, "DEL", store.keys.workers)
    assert await states(store) == {"x": "at_limit"}, "its only token is taken"
    clock.advance(10)
    assert await states(store) == {"x": "no_worker"}


async def test_since_when_a_limit_is_in_its_state_is_remembered_from_one_look_to_the_next(store: JobStore, clock: Clock) -> None:
    memory = Memory()
    await publish(store, interval("x", every=10))
    await enlist(store, "w")
    assert (await one(store, "x", memory)).state_since is None, "it may have been so for long"
    await store.submit(jobs(3, needs=["x"]))
    await claim(store)
    since_us = clock.now_us
    first = await one(store, "x", memory)
    clock.advance(5)

    other = Memory()
    other.recall(memory.text)
    later, elsewhere = await one(store, "x", memory), await one(store, "x", other)

    assert first.state_since is not None
    assert first.state_since.timestamp() == since_us / 1_000_000
    assert later.state_since == elsewhere.state_since == first.state_since
    Memory().recall("[]")  # of another version
    await store.pause("x", on=True, reason="repair")
    paused = await one(store, "x", memory)
    assert paused.paused is not None
    assert paused.state_since == paused.paused.since


async def test_starts_a_second_are_those_of_the_last_seconds_across_the_end_of_a_minute(store: JobStore, clock: Clock) -> None:
    clock.now_us -= clock.now_us % 60_000_000 - 55_000_000
    memory = Memory()
    await publish(store, TokenBucket("x", rate="1000/s", burst=1_000))
    for _ in range(10):
        await store.submit([job(needs=["x"]) for _ in range(4)])
        await finish_all(store, await claim(store))
        clock.advance(1)
        seen = await one(store, "x", memory)
    await store.roll()

    assert 3.9 <= seen.started_s <= 4.1
    clock.advance(1)
    assert 3.5 <= (await one(store, "x", memory)).started_s <= 4.1, "what the leader has moved meanwhile is in it once"
    assert 0.5 <= (await one(store, "x")).started_s <= 0.7, "without a look before it is that of the last minute"
    finished_min = (await look(store)).finished_min
    assert finished_min is not None
    assert 36 <= finished_min <= 40


async def test_attempts_whose_provider_said_wait_are_told(store: JobStore) -> None:
    await publish(store, TokenBucket("x", rate="1000/s", burst=10))
    await store.submit([job(needs=["x"])])
    (started,) = await claim(store)
    await end(store, started, Ending.throttled, delay=30, freeze="x")

    x = await one(store, "x")

    assert (x.throttled_min, x.state, x.frozen_by) == (1, LimitState.frozen, f"the provider of job {started.id} said wait")


async def test_of_many_limits_those_with_the_longest_lines_are_told(store: JobStore) -> None:
    await store.submit([job(needs=[f"l{n:02}"]) for n in range(10) for _ in range(n)])
    await publish(store, *(interval(f"l{n:02}", every=600) for n in range(20)))

    await enlist(store, "w")

    seen = await look(store, most_limits=5)

    assert [(limit.name, limit.waiting) for limit in seen.limits] == [("l09", 9), ("l08", 8), ("l07", 7), ("l06", 6), ("l05", 5)]
    assert seen.more == 15
    assert reasons(seen) == {"tokens": 35, "other": 10}


async def test_the_longest_line_of_very_many_is_found_again_once_it_was_found(store: JobStore, clock: Clock) -> None:
    await store.submit([job(needs=[f"k/{n:04}"]) for n in range(400)] + [job(needs=["k/0200"]) for _ in range(50)])
    await publish(store, interval("k", every=600, key="{k}"))
    found = []
    for _ in range(60):
        clock.advance(1)
        k = await one(store, "k")
        assert (k.waiting_is_estimate, k.buckets.waiting, k.buckets.known) == (True, 400, None)
        found.append(k.bucket == "k/0200")

    assert any(found)
    assert all(found[found.index(True) :]), "it is not lost again"
    assert 400 <= k.waiting <= 500


async def test_what_waits_for_something_else_has_its_reason(store: JobStore) -> None:
    await enlist(store, "w")
    await publish(store, interval("x", every=600), interval("y", every=600))
    await store.submit([*jobs(3, "x", needs=["x"]), *jobs(4, "y", needs=["y"])])
    await claim(store)
    await store.pause("y", on=True, reason="repair")
    await store.set_pause(Pausable.queue, "", "night", 0)

    seen = await look(store)

    assert reasons(seen) == {"tokens": 2, "paused": 3}
    assert seen.paused is not None
    assert seen.paused.reason == "night"


async def test_the_answer_is_made_once_for_all_who_ask_within_a_moment(store: JobStore, redis_url: str, clock: Clock) -> None:
    other = make_store(redis_url, store.keys.queue, clock)
    await publish(store, interval("x"))
    await other.overview("{}")
    await command(store.redis, "DEL", store.keys.overview)
    first = await store.overview("{}")
    clock.advance(0.1)
    before = await commands(store)

    again = await other.overview("[]")

    assert again == first
    assert await commands(store) - before == 3, "the script, the one command in it, and INFO"
    assert 0 < await command(store.redis, "PTTL", store.keys.overview) <= 900
    await command(store.redis, "DEL", store.keys.overview)
    assert (await other.overview("[]")).at_us > first.at_us
    await other.close()


async def test_the_cost_of_an_answer_has_a_bound_whatever_there_is(store: JobStore) -> None:
    await store.submit([job(needs=[f"k/{n}"], share=f"t{n % 7}") for n in range(1_500)])
    await store.submit(
        [job(needs=[f"l{n}"], share=f"t{n}") for n in range(250)] + [job(needs=["wide"], share=f"t{n}") for n in range(1_500)]
    )
    await publish(
        store, interval("k", every=600, key="{k}"), interval("wide", every=600), *(interval(f"l{n}", every=600) for n in range(250))
    )
    for n in range(100):
        await enlist(store, f"w{n}")
    await look(store)
    before = await commands(store)

    seen = await look(store)

    assert (len(seen.limits), seen.more, seen.workers) == (200, 52, 100)
    assert await commands(store) - before < MOST_COMMANDS


async def test_what_was_damaged_by_hand_is_left_out(store: JobStore) -> None:
    await publish(store, interval("good"), interval("bad"))
    await command(store.redis, "HSET", store.keys.limits, "bad", '{"code": {"name": "bad"}}')
    await command(store.redis, "SET", store.keys.overview_minute, "nonsense", "EX", 60)
    await command(store.redis, "SET", store.keys.overview_hot, "nonsense", "EX", 60)
    await command(store.redis, "SET", store.keys.clock, "nonsense", "EX", 60)

    seen = await look(store)

    assert [limit.name for limit in seen.limits] == ["good"]
    assert seen.leader is not None
    assert seen.leader.refill_age_s is None


async def test_an_answer_that_a_process_of_before_has_made_is_read_while_it_is_kept(store: JobStore) -> None:
    await publish(store, interval("x", every=10))
    await store.submit(jobs(3, needs=["x"]))
    await claim(store)
    await store.overview()
    key = f"{store.keys.prefix}overview"
    kept = json.loads(await command(store.redis, "GET", key))
    for limit in kept["limits"]:
        limit[-1] = [bucket[:10] for bucket in limit[-1]]
    await command(store.redis, "SET", key, json.dumps(kept), "PX", 60_000)

    (x,) = (await store.overview()).limits

    assert (x.waiting, x.buckets[0].needed, x.buckets[0].provider) == (2, 0, None)
