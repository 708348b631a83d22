"""A plan on top of what waits now, against what comes true."""

import pytest

from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit, TokenBucket
from runner.simulation import JobGroup, Live, buckets_of_plan, simulate
from runner.store.job_store import JobStore
from tests.store.builders import START_US, Clock, claim, finish_all, job, jobs, publish

S = 1_000_000


@pytest.mark.parametrize("share", ["", "{tenant}"])
async def test_a_plan_starts_when_its_jobs_would(store: JobStore, clock: Clock, share: str) -> None:
    limits: list[Limit] = [TokenBucket("x", rate="2/s", burst=3)]
    spec = TaskSpec("work", {}, ("x",), fair_by=share or None)
    await publish(store, *limits)
    await store.submit([job(f"w{n}", needs=["x"], share="a" if share else "") for n in range(9)])
    await finish_all(store, await claim(store))
    groups = [JobGroup("b", 4), JobGroup("c", 2, at_us=S)]

    snapshot = await store.around(buckets_of_plan(spec, limits, groups))
    assert snapshot is not None
    drain = simulate(spec, limits, groups, slots=50, live=Live(snapshot, 100))

    told = sorted((round(at / S, 1), tenant.partition(" ")[0].strip("(")) for at, tenant in drain.starts)
    await store.submit(jobs(4, "b", needs=["x"], share="b" if share else ""))
    real: list[tuple[float, str]] = []
    for tick in range(200):
        if tick == 10:
            await store.submit(jobs(2, "c", needs=["x"], share="c" if share else ""))
        await store.refill()
        started = await claim(store)
        real += [(round((clock.now_us - START_US) / S, 1), one.id[0]) for one in started]
        await finish_all(store, started)
        clock.advance(0.1)
    names = {"w": "a" if share else "waiting", "b": "b", "c": "c"}
    assert told == sorted((at, names[who]) for at, who in real)
    assert {report.tenant for report in drain.tenants} >= {"b", "c"}


async def test_what_cannot_be_known_is_not_played(store: JobStore) -> None:
    assert await store.around(["unheard"]) is None
