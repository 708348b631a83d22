"""The simulation: small plans whose course is known by hand, and what holds for every plan."""

import heapq
from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError, ExceedsCapacity, UnknownLimit
from runner.jobs.task_spec import TaskSpec
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.simulation import Drain, JobGroup, simulate
from runner.simulation.buckets import ServedBucket

S = MICROSECONDS


def drain(limits: list[Limit], *groups: JobGroup, slots: int = 100, fair: bool = True, start_us: int = 0, **weights: int) -> Drain:
    spec = TaskSpec("task", {}, tuple(limit.name for limit in limits), fair_by="{tenant}" if fair else None, weights=weights)
    return simulate(spec, limits, groups, slots=slots, start_us=start_us)


def starts_of(course: Drain, tenant: str) -> list[float]:
    return [at_us / S for at_us, who in course.starts if who == tenant]


def test_a_smooth_bucket_lets_its_burst_through_and_then_one_start_each_tenth_of_a_second() -> None:
    course = drain([TokenBucket("stripe", rate="10/s", burst=20)], JobGroup("a", 100))

    assert starts_of(course, "a") == [0.0] * 20 + [n / 10 for n in range(1, 81)]
    assert course.drain_us == 8 * S
    (stripe,) = course.limits
    assert (stripe.worst, stripe.bound, stripe.window_us) == (30, 30, S)
    assert stripe.utilisation == 1.0


def test_an_interval_bucket_starts_its_refill_together() -> None:
    course = drain([TokenBucket("crm", capacity=3, refill=2, every=10)], JobGroup("a", 8))

    assert starts_of(course, "a") == [0, 0, 0, 10, 10, 20, 20, 30]
    assert (course.limits[0].worst, course.limits[0].bound) == (5, 5)


def test_a_sliding_window_gives_a_token_back_a_microsecond_after_its_window() -> None:
    course = drain([SlidingWindow("sms", 2, per=60)], JobGroup("a", 5))

    assert starts_of(course, "a") == [0, 0, 60.000_001, 60.000_001, 120.000_002]
    assert (course.limits[0].worst, course.limits[0].bound) == (2, 2)


def test_concurrency_starts_the_next_when_one_has_ended() -> None:
    course = drain([Concurrency("gpu", 3)], JobGroup("a", 9, duration_us=2 * S))

    assert starts_of(course, "a") == [0] * 3 + [2] * 3 + [4] * 3
    assert course.drain_us == 6 * S
    assert (course.limits[0].worst, course.limits[0].utilisation) == (3, 1.0)


def test_a_quota_goes_on_at_midnight_of_its_zone() -> None:
    evening = int(datetime(2026, 3, 31, 23, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * S

    course = drain([Quota("maps", 2, per="month", tz="Europe/Berlin")], JobGroup("a", 5), start_us=evening)

    assert starts_of(course, "a") == [0, 0, 3600, 3600, 3600 + 30 * 86_400]
    assert (course.limits[0].worst, course.limits[0].bound) == (2, 2)
    assert course.limits[0].utilisation == 5 / 6


def test_jobs_on_a_spent_quota_that_fails_are_counted_and_none_waits() -> None:
    course = drain([Quota("maps", 2, per="day", on_exhausted="fail")], JobGroup("a", 5))

    assert (course.jobs, course.failed, course.drain_us) == (5, 3, 0)
    assert (course.tenants[0].jobs, course.tenants[0].failed) == (5, 3)


def test_slots_alone_bound_how_many_run() -> None:
    course = drain([], JobGroup("a", 100, duration_us=S), slots=10)

    assert course.drain_us == 10 * S
    assert (course.most_running, course.slot_utilisation) == (10, 1.0)


def test_a_small_tenant_takes_turns_with_a_large_one() -> None:
    stripe = TokenBucket("stripe", rate="10/s")
    large, small = JobGroup("a", 1000), JobGroup("b", 10, at_us=5 * S)

    fair, first_come = drain([stripe], large, small), drain([stripe], large, small, fair=False)

    assert fair.tenants[1].wait_max_us == pytest.approx(2 * S, abs=S / 5)
    assert first_come.tenants[1].wait_max_us == pytest.approx(95 * S, abs=S)
    assert fair.drain_us == first_come.drain_us


def test_weights_divide_the_starts() -> None:
    course = drain([TokenBucket("stripe", rate="100/s", burst=1)], JobGroup("a", 300), JobGroup("b", 300), a=3)

    first_second = [tenant for at_us, tenant in course.starts if at_us <= S]
    assert (first_second.count("a"), first_second.count("b")) == pytest.approx((75, 25), abs=2)


def test_a_tenant_with_one_job_at_a_time_does_not_come_first_each_time() -> None:
    """Its name sorts first, so it would: its line has to remember what it was served."""
    single = [JobGroup("0", 1, at_us=second * S + S // 2) for second in range(20)]

    course = drain([TokenBucket("stripe", rate="1/s", burst=1)], JobGroup("a", 20), *single)

    first_ten = [tenant for at_us, tenant in course.starts if at_us <= 10 * S]
    assert first_ten.count("a") == pytest.approx(5, abs=1)


def test_a_job_takes_of_all_its_limits_or_of_none() -> None:
    """Without that the first bucket would lose tokens to jobs that wait for the second."""
    course = drain([TokenBucket("fast", rate="1/s", burst=6), TokenBucket("slow", capacity=2, refill=2, every=2)], JobGroup("a", 6))

    assert starts_of(course, "a") == [0, 0, 2, 2, 4, 4]


def test_an_empty_bucket_delays_no_job_that_does_not_need_it() -> None:
    course = drain([TokenBucket("each", rate="1/s", burst=1, key="{tenant}")], JobGroup("a", 50), JobGroup("b", 1, at_us=10 * S))

    assert course.tenants[1].wait_max_us == 0


def test_cost_counts_tokens_and_not_starts() -> None:
    course = drain([TokenBucket("openai", rate="1000/s", burst=1000)], JobGroup("a", 4, cost={"openai": 500}))

    assert starts_of(course, "a") == [0, 0, 0.5, 1.0]
    assert course.limits[0].least_cost == 500


def test_waits_are_percentiles_that_occurred() -> None:
    course = drain([TokenBucket("stripe", rate="1/s", burst=1)], JobGroup("a", 100))

    (tenant,) = course.tenants
    assert (tenant.wait_p50_us, tenant.wait_p95_us, tenant.wait_max_us) == (49 * S, 94 * S, 99 * S)
    assert (tenant.first_start_us, tenant.last_start_us) == (0, 99 * S)


@pytest.mark.parametrize(
    ("group", "slots", "error", "words"),
    [
        (JobGroup("a", 1, cost={"stripe": 21}), 1, ExceedsCapacity, "cost 21 of limit 'stripe'"),
        (JobGroup("a", 1, cost={"strip": 1}), 1, UnknownLimit, "no limit 'strip'"),
        (JobGroup("a", 0), 1, ConfigurationError, "0 jobs"),
        (JobGroup("a", 2_000_000), 1, ConfigurationError, "more than the 1000000"),
        (JobGroup("a", 1), 0, ConfigurationError, "0 slots run nothing"),
    ],
)
def test_what_could_never_run_is_refused(group: JobGroup, slots: int, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        drain([TokenBucket("stripe", rate="10/s", burst=20)], group, slots=slots)


def test_two_limits_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two limits have one name"):
        drain([TokenBucket("x", rate="1/s"), Concurrency("x", 1)], JobGroup("a"))


def test_the_work_for_a_job_does_not_grow_with_the_lines_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    wait_us = ServedBucket.wait_us

    def counted(bucket: ServedBucket, cost: int, now_us: int, ahead: int = 0) -> int | None:
        nonlocal asked
        asked += 1
        return wait_us(bucket, cost, now_us, ahead)

    def asked_a_job(tenants: int) -> float:
        nonlocal asked
        asked = 0
        limits = [Concurrency("each", 3, key="{tenant}"), SlidingWindow("all", 50, per=1), TokenBucket("hour", rate="100/min")]
        course = drain(limits, *(JobGroup(f"t{n}", 20, duration_us=50 * S) for n in range(tenants)))
        assert course.jobs == 20 * tenants
        return asked / course.jobs

    monkeypatch.setattr(ServedBucket, "wait_us", counted)
    assert asked_a_job(200) < 2 * asked_a_job(50)


plans = st.lists(
    st.builds(
        JobGroup,
        st.sampled_from("abcd"),
        st.integers(1, 12),
        st.integers(0, 20).map(lambda tenths: tenths * S // 10),
        st.sampled_from([0, 1, S // 3, S, 40 * S]),
        st.fixed_dictionaries({}, optional={"bucket": st.integers(0, 4), "window": st.integers(0, 3), "many": st.integers(0, 2)}),
    ),
    min_size=1,
    max_size=8,
)
choices = st.tuples(
    st.sampled_from([None, "{tenant}"]).map(lambda key: TokenBucket("bucket", rate="3/s", burst=4, key=key)),
    st.sampled_from([None, "{tenant}"]).map(lambda key: SlidingWindow("window", 3, per=1, key=key)),
    st.sampled_from([None, "{tenant}"]).map(lambda key: Concurrency("many", 2, key=key)),
)


@settings(max_examples=300)
@given(choices, plans, st.integers(1, 5), st.booleans(), st.integers(1, 3))
def test_every_job_of_every_plan_starts_once_within_every_limit(
    limits: tuple[Limit, ...], groups: list[JobGroup], slots: int, fair: bool, weight: int
) -> None:
    course = drain(list(limits), *groups, slots=slots, fair=fair, a=weight)

    planned: dict[str, int] = defaultdict(int)
    for group in groups:
        planned[group.tenant] += group.count
    assert {report.tenant: report.jobs for report in course.tenants} == planned
    assert len(course.starts) == course.jobs == sum(planned.values())
    assert course.most_running <= slots
    assert [at_us for at_us, _ in course.starts] == sorted(at_us for at_us, _ in course.starts)
    for report in course.limits:
        assert report.worst <= report.bound
        assert 0 <= report.utilisation <= 1


@settings(deadline=None)
@given(plans, st.sampled_from([0, S // 3, 4 * S]), st.integers(1, 5), st.booleans())
def test_no_slot_and_no_token_lies_idle_while_a_job_waits_for_it(groups: list[JobGroup], duration_us: int, slots: int, fair: bool) -> None:
    """With one limit and equal jobs the instants are those of the simplest queue there is, whoever is served at them."""
    tokens = TokenBucket("bucket", rate="3/s", burst=4)
    equal = [JobGroup(group.tenant, group.count, group.at_us, duration_us) for group in groups]

    course = drain([tokens], *equal, slots=slots, fair=fair)

    bucket, free_us, now_us = tokens.full_bucket(0), [0] * slots, 0
    expected = []
    for submitted_us in sorted(group.at_us for group in equal for _ in range(group.count)):
        now_us = max(now_us, submitted_us, heapq.heappop(free_us))
        now_us += bucket.wait_us(1, now_us) or 0
        bucket.take(1, now_us, "")
        heapq.heappush(free_us, now_us + duration_us)
        expected.append(now_us)
    assert [at_us for at_us, _ in course.starts] == expected
