"""Debts: bounded unless the limit says otherwise, told of what is not charged, never a number that Redis cannot take; and resets, which forgive."""

import json
from typing import Any

import pytest

from runner.client.control import Control
from runner.connection.client import command
from runner.errors import ConfigurationError, UnknownLimit
from runner.jobs.job import Ending, Outcome, StartedJob
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from runner.store.replies import NotCharged
from tests.store.builders import Clock, claim, end, finish_all, ids, interval, job, jobs, publish, slot
from tests.store.inside import all_keys, bucket_state, field, nudged, states, versions

HUGE = 10**30
KINDS: list[Limit] = [
    TokenBucket("x", rate="1/day", burst=10),
    TokenBucket("x", rate="1/day", burst=10, debt="kept"),
    TokenBucket("x", rate="9000000000000/100day", burst=10, debt="kept"),
    interval("x", capacity=10, refill=1, every=8_000_000),
    TokenBucket("x", capacity=10, refill=1, every=8_000_000, debt="kept"),
    SlidingWindow("x", 10, per=8_000_000),
    Quota("x", 10, per="year"),
    Concurrency("x", 10),
]


async def start(store: JobStore, name: str, cost: int, bucket: str = "x") -> StartedJob:
    await store.submit([job(name, needs=[(bucket, cost)])])
    (started,) = await claim(store)
    return started


async def settle(store: JobStore, one: StartedJob, actual: int, bucket: str = "x") -> list[NotCharged]:
    answers = await store.finish("w", [Outcome(one, Ending.succeeded, b"1", 0, 60_000, f"{bucket}={actual}")])
    assert answers == ["accepted"]
    return answers.not_charged


async def tokens(store: JobStore) -> list[int]:
    (status,) = await store.limits("x")
    return [bucket.tokens for bucket in status.buckets]


async def test_a_charge_makes_a_debt_of_one_capacity_at_most_and_says_what_is_not_charged(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, refill=1, every=1))
    one = await start(store, "a", 2)

    assert await settle(store, one, 1_000) == [NotCharged("a", "x", 990)]

    assert (await bucket_state(store, "x")).deficit == 10
    await store.submit([job("next", needs=["x"])])
    clock.advance(5)
    assert await claim(store) == []
    clock.advance(1)
    assert ids(await claim(store)) == ["next"]


async def test_a_debt_is_kept_whole_where_the_limit_says_so(store: JobStore) -> None:
    await publish(store, TokenBucket("x", capacity=5, refill=1, every=1, debt="kept"))
    one = await start(store, "a", 2)

    assert await settle(store, one, 1_000) == []

    assert (await bucket_state(store, "x")).deficit == 1_000


async def test_a_debt_from_before_is_not_cut_by_a_further_charge(store: JobStore) -> None:
    await publish(store, interval("x", capacity=100, refill=1, every=1))
    one = await start(store, "a", 90)
    other = await start(store, "b", 5)
    await publish(store, interval("x", capacity=10, refill=1, every=1))

    assert await settle(store, one, 91) == [NotCharged("a", "x", 1)]
    assert (await bucket_state(store, "x")).deficit == 95
    assert await settle(store, other, 4) == []
    assert (await bucket_state(store, "x")).deficit == 94


@pytest.mark.parametrize("limit", KINDS, ids=repr)
@pytest.mark.parametrize("actual", [HUGE, 2**63, 2**53, 9_000_000_000_000])
async def test_no_number_strands_other_outcomes_or_jobs(store: JobStore, clock: Clock, limit: Limit, actual: int) -> None:
    await publish(store, limit)
    need = slot("x") if limit.gives_back else "x"
    await store.submit(jobs(5, needs=[need]))
    one, *others = await claim(store)
    outcomes = [Outcome(one, Ending.succeeded, b"1", 0, 3_600_000, f"x={actual}")]
    outcomes += [Outcome(other, Ending.succeeded, b"1", 0, 3_600_000) for other in others]

    assert set(await store.finish("w", outcomes)) == {"accepted"}

    assert await states(store, [f"j{number}" for number in range(5)]) == ["succeeded"] * 5
    await store.submit(jobs(2, "late", needs=[need]))
    await claim(store)
    await store.refill()
    assert "unknown" not in await states(store, ["late0", "late1"])
    (status,) = await store.limits("x")
    assert status.buckets[0].tokens >= 0
    assert (await store.take("take:t", "x=1!" if limit.gives_back else "x=1", "x")).state in {"taken", "refused"}
    await store.freeze("x", 366 * 86_400_000_000, "long")
    await publish(store, TokenBucket("x", rate="1/100day", burst=1))
    await store.override("x", TokenBucket("x", rate="90000000000000/s", burst=10).to_json(), 1, "test")
    await store.reset("x", "a wrong number")


async def test_a_job_that_was_dearer_than_the_limit_is_now_strands_nothing(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="8000000000000/day", burst=8_000_000))
    await store.submit([job("dear", needs=[("x", 8_000_000)]), job("next", needs=["x"])])
    await publish(store, TokenBucket("x", rate="1/99day", burst=1))

    assert ids(await claim(store)) == ["dear"]
    (status,) = await store.get(["next"])
    assert status is not None
    assert status.state == "waiting"


# Resets

FORGIVING: list[Limit] = [TokenBucket("x", rate="1/day", burst=4), SlidingWindow("x", 4, per=86_400), Quota("x", 4, per="month")]


@pytest.mark.parametrize("limit", FORGIVING, ids=repr)
async def test_a_reset_forgives_what_was_spent_and_starts_who_waits(store: JobStore, clock: Clock, limit: Limit) -> None:
    await publish(store, limit)
    await store.submit(jobs(9, needs=["x"]))
    running = await claim(store)
    assert len(running) == 4
    await nudged(store)
    clock.advance(1)

    status = await Control(lambda: store).reset("x", "the provider forgot it")

    assert await nudged(store)
    assert status.reset is not None
    assert (status.reset.bucket, status.reset.reason, round(status.reset.at.timestamp() * 1e6)) == (
        "x",
        "the provider forgot it",
        clock.now_us,
    )
    assert [bucket.tokens for bucket in status.buckets] == [4]
    assert len(await claim(store)) == 4
    await end(store, running[0], settled="x=0")
    await store.refill()
    assert await claim(store) == []  # what was taken before the reset is forgiven, and does not come back a second time


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("limit", FORGIVING, ids=repr)
async def test_a_reset_of_a_key_forgives_that_one_and_of_the_limit_all(store: JobStore, clock: Clock, limit: Limit, whole: bool) -> None:
    keyed = type(limit).from_policy({**limit.published(), "key": "{id}"})
    await publish(store, keyed)
    await store.submit([*jobs(5, "a", needs=["x/a"]), *jobs(5, "b", needs=["x/b"])])
    running = await claim(store)
    assert len(running) == 8
    clock.advance(1)

    await Control(lambda: store).reset("x" if whole else "x/a", "test")

    again = await claim(store)
    assert sorted(ids(again)) == (["a4", "b4"] if whole else ["a4"])
    await store.submit([*jobs(5, "c", needs=["x/a"]), *jobs(5, "d", needs=["x/b"])])
    last = await claim(store)
    assert sorted(one.id[0] for one in last) == (["c"] * 3 + ["d"] * 3 if whole else ["c"] * 3)
    await store.finish("w", [Outcome(one, Ending.succeeded, b"1", 0, 60_000, f"x/{one.id[0]}=0") for one in running if one.id[0] == "a"])
    assert await claim(store) == []


async def test_a_reset_under_an_override_forgives_once_and_the_override_ends_as_before(store: JobStore, clock: Clock) -> None:
    await publish(store, TokenBucket("x", rate="1/day", burst=4, key="{id}"))
    await store.submit(jobs(9, needs=["x/a"]))
    assert len(await claim(store)) == 4
    await store.override("x", TokenBucket("x", rate="1/day", burst=2, key="{id}").to_json(), 60_000_000, "test")
    clock.advance(1)

    await store.reset("x", "test")
    assert len(await claim(store)) == 2
    clock.advance(60)

    assert len(await claim(store)) == 2  # the code's four, of which two are spent
    for _ in range(3):
        await store.limits("x")
        assert await claim(store) == []


async def test_a_reset_keeps_slots_freezes_and_pauses(store: JobStore, clock: Clock) -> None:
    await publish(store, Concurrency("x", 2), interval("y", capacity=4, every=100))
    await store.submit([*jobs(3, needs=[slot("x")]), *jobs(2, "y", needs=["y"])])
    running = await claim(store)
    await store.freeze("y", 10_000_000, "test")
    await store.pause("x", on=True, reason="test")

    await store.reset("x", "test")
    await store.reset("y", "test")
    await store.pause("x", on=False, reason="")

    assert await field(store, "x", "used") == 2
    assert await claim(store) == []
    await store.submit([job("late", needs=["y"])])
    clock.advance_us(9_999_999)
    assert await claim(store) == []
    await finish_all(store, running)
    assert ids(await claim(store)) == ["j2"]
    clock.advance_us(1)
    assert ids(await claim(store)) == ["late"]


async def test_a_reset_forgives_what_another_kind_has_left_too(store: JobStore) -> None:
    for name, bucket in (("x", "x"), ("y", "y/a")):
        key = "{id}" if "/" in bucket else None
        await publish(store, TokenBucket(name, rate="1/day", burst=4, key=key))
        await finish_all(store, [await start(store, f"a{name}", 3, bucket)])
        await publish(store, Concurrency(name, 2, key=key))
        await finish_all(store, [await start(store, f"b{name}", 1, bucket)])

        await store.reset(bucket, "test")
        await publish(store, TokenBucket(name, rate="1/day", burst=4, key=key))

        assert (await store.take("take:" + name, f"{bucket}=4", bucket)).state == "taken"


async def test_a_reset_leaves_no_key_behind(store: JobStore) -> None:
    await publish(store, SlidingWindow("x", 4, per=3_600))
    await finish_all(store, [await start(store, "a", 3)])

    await store.reset("x", "test")

    assert [key for key in await all_keys(store) if ":taken:" in key] == []


async def test_a_reset_is_recorded_in_the_entry_with_a_new_version(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    assert await versions(store) == {"x": 1}

    await store.reset("x", "why")

    entry: dict[str, Any] = json.loads(await command(store.redis, "HGET", store.keys.limits, "x"))
    assert entry["reset"] == {"at_us": str(clock.now_us), "reason": "why", "bucket": "x"}
    assert await versions(store) == {"x": 2}
    assert await publish(store, interval("x")) == 0


async def test_a_reset_of_what_does_not_exist_is_refused(store: JobStore) -> None:
    await publish(store, interval("x"))
    assert not await store.reset("nothing", "test")
    with pytest.raises(UnknownLimit):
        await Control(lambda: store).reset("nothing", "test")
    with pytest.raises(ConfigurationError, match="has no key"):
        await Control(lambda: store).reset("x/a", "test")
    with pytest.raises(ConfigurationError, match="cannot be shown to people"):
        await Control(lambda: store).reset("x", "a\nb")
    assert await tokens(store) == [1]
