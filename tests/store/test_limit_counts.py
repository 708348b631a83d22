"""limits: how many buckets of a limit wait, and how many jobs there: truly, or about so many where more wait than one call counts."""

from collections.abc import Sequence

import pytest

from runner.connection.client import command
from runner.jobs.submission import Submission
from runner.limits import LimitStatus
from runner.store.job_store import JobStore
from runner.store.portions import portions
from tests.store.builders import Clock, claim, finish_all, interval, job, jobs, publish

BUCKETS = 5_000


async def submit(store: JobStore, batch: Sequence[Submission]) -> None:
    for portion in portions(batch, 500):
        await store.submit(portion)


async def shown(store: JobStore, name: str) -> LimitStatus:
    (status,) = await store.limits(name)
    return status


async def test_all_jobs_of_five_hundred_tenants_are_counted_at_the_limit_they_share(store: JobStore) -> None:
    await publish(store, interval("stripe", every=10), interval("tenant", every=10, key="{t}"))
    await submit(store, [job(needs=["stripe", f"tenant/{number}"]) for number in range(500)])
    await claim(store)

    stripe, tenant = await store.limits()

    assert (stripe.waiting, stripe.waiting_is_estimate, stripe.waiting_buckets, stripe.buckets_not_shown) == (499, False, 1, 0)
    assert (stripe.buckets[0].waiting, stripe.buckets[0].waiting_is_estimate) == (499, False)
    assert (await shown(store, "stripe")).waiting == 499
    assert tenant.waiting_buckets == await command(store.redis, "ZCARD", store.keys.buckets_waiting("tenant"))


async def test_all_buckets_of_a_limit_with_a_key_are_counted_and_those_with_most_jobs_shown_first(store: JobStore) -> None:
    await submit(store, [job(needs=[f"tenant/{number}"]) for number in range(250) for _ in range(2)])
    await submit(store, [job(needs=["tenant/7"]) for _ in range(5)] + [job(needs=["tenant/99"])])
    await publish(store, interval("tenant", every=10, key="{t}"))

    tenant = await shown(store, "tenant")

    assert (tenant.waiting_buckets, tenant.waiting, tenant.waiting_is_estimate) == (250, 506, False)
    assert [(bucket.bucket, bucket.waiting) for bucket in tenant.buckets[:3]] == [("tenant/7", 7), ("tenant/99", 3), ("tenant/0", 2)]
    assert (len(tenant.buckets), tenant.buckets_not_shown) == (100, 150)


@pytest.mark.parametrize("pattern", [(1,), (1, 2, 3), (1, 1, 1, 1, 1, 1, 1, 1, 1, 5)], ids=str)
async def test_of_very_many_buckets_the_number_is_true_and_that_of_their_jobs_nearly(store: JobStore, pattern: tuple[int, ...]) -> None:
    waiting = [pattern[number % len(pattern)] for number in range(BUCKETS)]
    await submit(store, [job(needs=[f"tenant/{number:04}"]) for number, count in enumerate(waiting) for _ in range(count)])
    await publish(store, interval("tenant", every=10, key="{t}"))

    tenant = await shown(store, "tenant")

    assert (tenant.waiting_buckets, tenant.buckets_not_shown, tenant.waiting_is_estimate) == (BUCKETS, BUCKETS - 100, True)
    assert abs(tenant.waiting - sum(waiting)) <= 0.2 * sum(waiting)


async def test_of_very_many_lines_at_one_bucket_the_jobs_are_told_nearly(store: JobStore) -> None:
    await submit(store, [job(needs=["x"], share=f"t{number}") for number in range(BUCKETS) for _ in range(1 + number % 3)])
    await publish(store, interval("x", every=10))

    x = await shown(store, "x")

    assert (x.waiting_buckets, x.waiting_is_estimate, x.buckets[0].waiting_is_estimate) == (1, True, True)
    assert x.waiting == x.buckets[0].waiting
    assert abs(x.waiting - 2 * BUCKETS) <= 0.2 * 2 * BUCKETS


async def test_jobs_whose_line_has_had_its_turn_and_has_a_claim_are_counted(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=50, key="{k}"), interval("y", every=5))
    await store.submit([job("first", needs=["x/a"])])
    await finish_all(store, await claim(store))
    await store.submit([*jobs(3, "both", needs=["x/a", "y"]), *jobs(2, "other", needs=["x/a"], share="other")])
    clock.advance(48)
    assert (await store.take("take:y", "y=1", "1|y")).state == "taken"
    clock.advance(2)
    assert await claim(store) == []
    keys = store.keys
    standing = [await command(store.redis, "ZCARD", keys.lines_waiting(bucket)) for bucket in ("x/a", "y")]
    assert (standing, await command(store.redis, "ZCARD", keys.claims("y"))) == ([1, 0], 1)  # else this shows nothing

    x, y = await store.limits()

    assert [(bucket.bucket, bucket.waiting) for bucket in (*x.buckets, *y.buckets)] == [("x/a", 5), ("y", 3)]
    assert [(limit.waiting_buckets, limit.waiting, limit.waiting_is_estimate) for limit in (x, y)] == [(1, 5, False), (1, 3, False)]


async def test_a_limit_beside_many_others_is_counted_as_well(store: JobStore) -> None:
    await submit(store, [job(needs=["busy"], share=f"t{number}") for number in range(400)])
    await publish(store, *(interval(f"idle-{number}") for number in range(15)), interval("busy", every=10))

    counts = {status.name: (status.waiting, status.waiting_is_estimate) for status in await store.limits()}

    assert counts.pop("busy") == (400, False)
    assert set(counts.values()) == {(0, False)}


async def test_nobody_is_counted_for_those_who_need_the_numbers_alone(store: JobStore) -> None:
    await submit(store, [job(needs=[f"tenant/{number}"]) for number in range(20)])
    await publish(store, interval("tenant", every=10, key="{t}"))

    (tenant,) = await store.limits(most_buckets=0)

    assert (tenant.policy.name, tenant.buckets, tenant.waiting) == ("tenant", [], 0)
