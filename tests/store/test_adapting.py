"""The rate in force of a limit whose provider says wait again: lowered once for what belongs together, raised slowly, never above what is declared."""

import json
from collections.abc import Sequence
from itertools import count

import pytest

from runner.jobs.job import Ending, Outcome, StartedJob
from runner.limits import LimitStatus, Override, TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, jobs, publish
from tests.store.test_freeze import throttle

S = 1_000_000
PAY = TokenBucket("x", rate="40/s", burst=40, adapt=True)
FIRST = -1.0
_names = count()


async def shown(store: JobStore) -> LimitStatus:
    (limit,) = await store.limits("x")
    return limit


async def override(store: JobStore) -> Override | None:
    return (await shown(store)).override


async def share(store: JobStore) -> float:
    """Of the declared rate, the one in force, as the override says it; 1 without one."""
    entry = json.loads(await store.redis.hget(store.keys.limits, "x") or b"{}")
    return float(entry["override"]["adapting"]["share"]) / S if (await override(store)) is not None else 1.0


async def told_to_wait(store: JobStore, clock: Clock, after_s: float = 1.0, *, calls: int = 1) -> None:
    """Some calls begin so long after the freeze before, and all are told to wait; then the freeze passes."""
    clock.advance(after_s)
    prefix = f"r{next(_names)}-"
    await store.submit(jobs(calls, prefix, needs=["x"]))
    await store.refill()
    started = await claim(store)
    assert len(started) == calls
    freezes = [await throttle(store, one, FIRST) for one in started]
    await store.adapt()
    clock.advance_us(max(freeze.wait_us for freeze in freezes))
    for one in started:
        await store.cancel(one.id)


async def busy_for(store: JobStore, clock: Clock, seconds: int) -> list[float]:
    """The shares after each second in which jobs wait."""
    shares = []
    await store.submit(jobs(45, f"b{next(_names)}-", needs=["x"]))
    for _ in range(seconds):
        clock.advance(1)
        await store.adapt()
        shares.append(await share(store))
    return shares


async def test_a_rate_is_lowered_when_calls_are_told_to_wait_again_and_not_at_once(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)

    await told_to_wait(store, clock)
    assert await override(store) is None
    await told_to_wait(store, clock)

    found = await override(store)
    assert found is not None
    assert (found.limit.rate, found.limit.capacity, found.by) == ("40/1250ms", 32, "adapting")
    assert found.reason == "its provider said wait again and again: 80 % of the declared rate"
    assert (await shown(store)).code == PAY
    (line,) = await store.audit("-", 100)
    assert (line.action, line.target, line.reason, line.door) == ("override", "limit x", "adapting", "leader")


async def test_what_belongs_together_lowers_it_once(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    await told_to_wait(store, clock, calls=20)
    assert await share(store) == 1

    await told_to_wait(store, clock, calls=10)

    assert await share(store) == 0.8


async def test_what_is_said_to_the_probe_makes_the_freeze_longer_and_lowers_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    await told_to_wait(store, clock)

    for _ in range(3):
        await told_to_wait(store, clock, 0.001)

    assert await override(store) is None


async def test_a_stray_word_after_a_quiet_minute_lowers_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)

    for _ in range(3):
        await told_to_wait(store, clock, 61)

    assert await override(store) is None


async def test_a_lowered_rate_is_raised_by_even_steps_while_jobs_wait_and_the_override_ends_at_the_declared_one(
    store: JobStore, clock: Clock
) -> None:
    await publish(store, PAY)
    for _ in range(3):
        await told_to_wait(store, clock)
    assert await share(store) == 0.64

    shares = await busy_for(store, clock, 60)

    assert shares[:3] == pytest.approx([0.648, 0.656, 0.664])
    assert shares[-1] == 1
    assert await override(store) is None
    assert await store.redis.exists(store.keys.adapting) == 0


async def test_an_idle_limit_is_not_raised_and_after_an_hour_what_is_declared_is_in_force(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    for _ in range(2):
        await told_to_wait(store, clock)
    for _ in range(100):
        clock.advance(30)
        await store.adapt()
    assert await share(store) == 0.8

    clock.advance(700)
    assert await override(store) is None
    assert (await store.adapt()).next_us == -1
    assert await store.redis.exists(store.keys.adapting) == 0


async def test_the_least_rate_is_a_floor_and_the_most_a_ceiling(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="40/s", burst=40, adapt=("30/s", "36/s")))
    for _ in range(6):
        await told_to_wait(store, clock)
    assert await share(store) == 0.75

    assert max(await busy_for(store, clock, 60)) == 0.9


async def test_an_override_of_an_operator_wins_and_is_not_adapted(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    for _ in range(2):
        await told_to_wait(store, clock)

    await store.override("x", PAY.with_numbers(rate="10/s").to_json(), 0, "by hand")
    for _ in range(3):
        await told_to_wait(store, clock)

    found = await override(store)
    assert found is not None
    assert (found.limit.rate, found.reason) == ("10/s", "by hand")


async def test_an_operator_can_override_a_rate_whose_freeze_is_not_answered(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    await store.redis.hset(store.keys.adapting, "x", "1")

    await store.override("x", PAY.with_numbers(rate="10/s").to_json(), 0, "by hand")
    await store.adapt()

    found = await override(store)
    assert found is not None
    assert found.reason == "by hand"


async def test_restoring_ends_what_was_adapted(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    for _ in range(3):
        await told_to_wait(store, clock)

    await store.override("x", "", 0, "")
    await store.adapt()

    assert await override(store) is None
    assert await store.redis.exists(store.keys.adapting) == 0


@pytest.mark.parametrize("other", [TokenBucket("x", rate="40/s", burst=40), TokenBucket("x", rate="80/s", burst=40, adapt=True)], ids=repr)
async def test_another_declaration_begins_anew(store: JobStore, clock: Clock, other: TokenBucket) -> None:
    await publish(store, PAY)
    for _ in range(3):
        await told_to_wait(store, clock)

    await publish(store, other)

    assert await override(store) is None
    assert (await shown(store)).policy == other


async def test_a_share_without_a_declaration_that_adapts_is_ended(store: JobStore, clock: Clock) -> None:
    """An older version of the code has published what it declares, and knows of no shares."""
    await publish(store, PAY)
    for _ in range(3):
        await told_to_wait(store, clock)
    entry = json.loads(await store.redis.hget(store.keys.limits, "x") or b"{}")
    entry["code"] = json.loads(TokenBucket("x", rate="40/s", burst=40).to_json()) | {"version": 9}
    entry["versions"] = 9
    await store.redis.hset(store.keys.limits, "x", json.dumps(entry))

    await store.adapt()

    assert await override(store) is None


@pytest.mark.parametrize(
    "limit",
    [
        PAY,
        TokenBucket("x", rate="7/min", burst=3, adapt=True),
        TokenBucket("x", rate="90000/min", burst=30_000, adapt=True),
        TokenBucket("x", capacity=10, refill=2, every=10, adapt=True),
        TokenBucket("x", rate="20/s", burst=20, jitter=0.25, adapt=True),
        TokenBucket("x", rate="40/s", burst=40, debt="kept", adapt=("1/s", "39/s")),
    ],
    ids=repr,
)
async def test_the_policy_of_every_share_is_one_that_the_library_would_publish(store: JobStore, clock: Clock, limit: TokenBucket) -> None:
    await publish(store, limit)
    await store.redis.hset(store.keys.adapting, "x", "1")
    shares = []
    for _ in range(30):
        await store.adapt()
        entry = json.loads(await store.redis.hget(store.keys.limits, "x") or b"{}")
        policy, made = entry["override"], (await shown(store)).policy
        assert isinstance(made, TokenBucket)
        published = made.published() | {"rate": policy["rate"]}
        assert {name: policy.get(name) for name in published} == published
        assert made.refill / made.every_us <= limit.refill / limit.every_us * policy["adapting"]["share"] / S * 1.000001
        assert made.refill / made.every_us >= limit.refill / limit.every_us * policy["adapting"]["share"] / S * 0.98
        shares.append(policy["adapting"]["share"])
        await store.redis.hset(store.keys.adapting, "x", "1")
    assert limit.adapting is not None
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == limit.adapting.least


async def test_tokens_that_were_taken_at_one_rate_come_back_at_it_and_then_at_the_next(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    await told_to_wait(store, clock)
    clock.advance(20)
    await store.submit(jobs(40, "t", needs=["x"]))
    started: Sequence[StartedJob] = await claim(store)
    await finish_all(store, started)
    clock.advance(0.5)
    await store.redis.hset(store.keys.adapting, "x", "1")
    await store.adapt()
    clock.advance(0.25)

    (bucket,) = (await shown(store)).buckets

    assert bucket.tokens == 32 - (40 - 20) + 8


async def test_a_word_of_a_job_that_is_accepted_twice_counts_once(store: JobStore, clock: Clock) -> None:
    await publish(store, PAY)
    await told_to_wait(store, clock)
    clock.advance(1)
    await store.submit(jobs(1, "again", needs=["x"]))
    (one,) = await claim(store)
    outcome = Outcome(one, Ending.throttled, b'{"type":"Throttled","message":"wait"}', -S, 60_000, "", "x", 0)

    answers = [(await store.finish("w", [outcome]))[0] for _ in range(2)]
    for _ in range(3):
        await store.adapt()

    assert answers == ["accepted", "stale"]
    assert await share(store) == 0.8
