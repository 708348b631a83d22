"""The simulation against the scripts themselves: the same plan, the same instants, the same order."""

import heapq
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.clock import MICROSECONDS
from runner.jobs.job import StartedJob
from runner.jobs.job_options import JobOptions
from runner.jobs.submission import Submission, prepare
from runner.jobs.task_spec import TaskSpec
from runner.limits import Concurrency, Limit, Quota, SlidingWindow, TokenBucket
from runner.simulation import JobGroup, simulate
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, finish_all, fresh_store

S = MICROSECONDS


class Engine:
    """One worker and a leader, whose time moves from event to event; they ask as soon as there is anything to ask."""

    def __init__(self, store: JobStore, clock: Clock, slots: int) -> None:
        self.store = store
        self.clock = clock
        self.free = slots
        self.running: list[tuple[int, int, StartedJob]] = []
        self.starts: list[tuple[int, str]] = []
        self.wake_us: int | None = None

    async def play(self, groups: Sequence[tuple[JobGroup, list[Submission]]]) -> list[tuple[int, str]]:
        upcoming = sorted(groups, key=lambda row: row[0].at_us)
        tenants = {job.id: group for group, jobs in groups for job in jobs}
        while upcoming or self.running or self.wake_us is not None:
            events = [START_US + upcoming[0][0].at_us] if upcoming else []
            events += [self.running[0][0]] if self.running else []
            events += [self.wake_us] if self.wake_us is not None else []
            self.clock.now_us = max(min(events), self.clock.now_us)
            await self._end_due()
            while upcoming and START_US + upcoming[0][0].at_us <= self.clock.now_us:
                await self.store.submit(upcoming.pop(0)[1])
            await self._start(tenants)
        return self.starts

    async def _end_due(self) -> None:
        ended = []
        while self.running and self.running[0][0] <= self.clock.now_us:
            ended.append(heapq.heappop(self.running)[2])
        if ended:
            await finish_all(self.store, ended)
            self.free += len(ended)

    async def _start(self, tenants: dict[str, JobGroup]) -> None:
        await self.store.enlist("w", "{}")
        started = 1
        while started:
            next_us = await self._refill()
            started = await self._claim(tenants)
        next_us = await self._refill()
        # Due now, and yet nothing moved: it waits for a slot, whose end is an event of its own.
        self.wake_us = self.clock.now_us + next_us if next_us > 0 else None

    async def _refill(self) -> int:
        """As the leader does, until nothing moves any more; a line that went on to another bucket takes a second look."""
        still = 0
        while still < 2:
            released, next_us = await self.store.refill()
            still = 0 if released else still + 1
        return next_us

    async def _claim(self, tenants: dict[str, JobGroup]) -> int:
        if not self.free:
            return 0
        jobs = (await self.store.claim("w", ClaimRequest(self.free, read_more=True))).jobs
        for job in jobs:
            group = tenants[job.id]
            self.starts.append((self.clock.now_us - START_US, group.tenant))
            heapq.heappush(self.running, (self.clock.now_us + group.duration_us, len(self.starts), job))
        self.free -= len(jobs)
        return len(jobs)


async def engine_starts(
    redis: Redis, redis_url: str, spec: TaskSpec, limits: Sequence[Limit], groups: list[JobGroup], slots: int, window: int
) -> list[tuple[int, str]]:
    clock = Clock()
    async with fresh_store(redis, redis_url, clock, window=window) as store:
        await store.publish({}, limits)
        planned = [
            (
                group,
                [
                    prepare(spec, limits, b"{}", {"tenant": group.tenant}, JobOptions(id=f"g{place}n{number}", cost=group.cost))
                    for number in range(group.count)
                ],
            )
            for place, group in enumerate(groups)
        ]
        return await Engine(store, clock, slots).play(planned)


# Short enough that no job waits a minute for a slot: then the scripts give up what was reserved for it, the simulation does not.
plans = st.lists(
    st.builds(
        JobGroup,
        st.sampled_from("abc"),
        st.integers(1, 8),
        st.integers(0, 20).map(lambda tenths: tenths * S // 10),
        st.sampled_from([0, 1, S // 3, S]),
        st.fixed_dictionaries(
            {}, optional={"bucket": st.integers(0, 4), "window": st.integers(0, 3), "many": st.integers(0, 2), "hour": st.integers(0, 3)}
        ),
    ),
    min_size=1,
    max_size=6,
)
choices = st.tuples(
    st.sampled_from([None, "{tenant}"]).map(lambda key: TokenBucket("bucket", rate="3/s", burst=4, key=key)),
    st.sampled_from([None, "{tenant}"]).map(lambda key: SlidingWindow("window", 3, per=1, key=key)),
    st.sampled_from([None, "{tenant}"]).map(lambda key: Concurrency("many", 2, key=key)),
    st.builds(
        lambda key, on_exhausted: Quota("hour", 10, per="hour", key=key, on_exhausted=on_exhausted),
        st.sampled_from([None, "{tenant}"]),
        st.sampled_from(["park", "fail"]),
    ),
)
windows = st.sampled_from([6, 64])
"""At least as many as there are slots, as in production: a claim of more slots would release more at once than the leader does."""


COMPARED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@COMPARED
@given(
    limit=choices.flatmap(st.sampled_from),
    groups=plans,
    slots=st.integers(1, 6),
    window=windows,
    fair=st.booleans(),
    weight=st.integers(1, 3),
)
async def test_a_plan_under_one_limit_takes_the_course_that_was_simulated(
    redis: Redis, redis_url: str, limit: Limit, groups: list[JobGroup], slots: int, window: int, fair: bool, weight: int
) -> None:
    spec = TaskSpec("t", {}, (limit.name,), fair_by="{tenant}" if fair else None, weights={"a": weight})
    groups = [replace(group, cost={name: cost for name, cost in group.cost.items() if name == limit.name}) for group in groups]

    simulated = simulate(spec, [limit], groups, slots=slots, window=window, start_us=START_US)

    assert await engine_starts(redis, redis_url, spec, [limit], groups, slots, window) == list(simulated.starts)


ASIDE = [JobGroup("a"), JobGroup("a"), JobGroup("a"), JobGroup("a", 4, cost={"hour": 3}), JobGroup("a", 5, cost={"many": 0})]
"""Tokens of an hour that a line has set aside, and that are used shortly before the hour ends."""
ALL_KINDS = (
    TokenBucket("bucket", rate="3/s", burst=4),
    SlidingWindow("window", 3, per=1),
    Concurrency("many", 2),
    Quota("hour", 10, per="hour"),
)
OWN_PACE = (
    TokenBucket("bucket", rate="3/s", burst=4, key="{tenant}"),
    SlidingWindow("window", 3, per=1, key="{tenant}"),
    Concurrency("many", 2),
    Quota("hour", 10, per="hour"),
)
NO_TIME = [JobGroup("a", at_us=S // 10), JobGroup("a", 4, duration_us=S, cost={"bucket": 2}), *[JobGroup("a")] * 3, JobGroup("b", 4)]
"""Slots that are held for no time at all, in the mean of those that were held for long."""
BEHIND = [
    *[JobGroup("a")] * 2,
    JobGroup("a", at_us=S // 10),
    JobGroup("a", cost={"bucket": 4}),
    JobGroup("a", cost={"window": 0}),
    JobGroup("a", cost={"bucket": 2, "hour": 0, "many": 0, "window": 0}),
]
"""A claim whose token lands with the first of two that the line of the bucket itself lacks."""
HOUR_OF_EACH = (*ALL_KINDS[:3], Quota("hour", 10, per="hour", key="{tenant}"))
LATER = [JobGroup("a"), JobGroup("a", at_us=S // 10), JobGroup("a", 2, at_us=S // 10), JobGroup("b", 5)]
"""A line has had its turn at an hour of its own, with nothing set aside: it stands there again only shortly before the next hour."""


@COMPARED
@example(limits=OWN_PACE, groups=NO_TIME, slots=2, window=6, fair=False, weight=1)
@example(limits=ALL_KINDS, groups=BEHIND, slots=1, window=6, fair=False, weight=1)
@example(limits=HOUR_OF_EACH, groups=LATER, slots=1, window=6, fair=False, weight=1)
@example(limits=ALL_KINDS, groups=ASIDE, slots=1, window=6, fair=False, weight=1)
@given(limits=choices, groups=plans, slots=st.integers(1, 6), window=windows, fair=st.booleans(), weight=st.integers(1, 3))
async def test_a_plan_under_several_limits_takes_the_course_that_was_simulated(
    redis: Redis, redis_url: str, limits: tuple[Limit, ...], groups: list[JobGroup], slots: int, window: int, fair: bool, weight: int
) -> None:
    spec = TaskSpec("t", {}, tuple(limit.name for limit in limits), fair_by="{tenant}" if fair else None, weights={"a": weight})

    simulated = simulate(spec, limits, groups, slots=slots, window=window, start_us=START_US)

    assert await engine_starts(redis, redis_url, spec, limits, groups, slots, window) == list(simulated.starts)
