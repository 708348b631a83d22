"""Two versions of an app on one queue: no job runs without the limits of the version that runs it."""

import random
from collections import Counter
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import BeforeValidator
from redis.asyncio import Redis

from runner import JobOptions, Level, TokenBucket
from runner.errors import ExceedsCapacity
from tests import invariants
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp

OLD = TokenBucket("old", rate="100/s", burst=100)
FRAUD = TokenBucket("fraud", rate="20/s", burst=2)
TENANT = TokenBucket("tenant", capacity=1, refill=1, every=3600, key="{tenant}")


async def test_a_limit_that_came_since_holds_for_jobs_of_the_version_before(
    make_app: MakeApp, crew: Crew, redis: Redis, queue: str
) -> None:
    before, now = make_app(), make_app()
    for app, limits in ((before, [OLD]), (now, [OLD, FRAUD])):

        @app.task(name="charge", limits=limits)
        async def charge(order: int) -> int:
            return order

    await before.submit_many([])
    jobs = [await before.tasks["charge"].submit(number) for number in range(12)]
    await crew.start(now)

    assert [await job.result(20) for job in jobs] == list(range(12))
    statuses = [await job.status() for job in jobs]
    assert {(status.failures, status.attempt) for status in statuses} == {(0, 2)}
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[OLD, FRAUD], live=crew.ids) == []


async def test_a_job_without_limits_gets_those_of_the_version_that_runs_it(make_app: MakeApp, crew: Crew) -> None:
    ran: list[str] = []
    before, now = make_app(), make_app()

    @before.task(name="charge")
    async def charge_before(tenant: str) -> None: ...

    @now.task(name="charge", limits=[TENANT])
    async def charge_now(tenant: str) -> None:
        ran.append(tenant)

    await before.submit_many([])
    jobs = [await before.tasks["charge"].submit(tenant) for tenant in ("a", "b", "a", "b", "a")]
    await crew.start(now)

    async def are_in_line() -> bool:
        buckets = [(await job.status()).bucket for job in jobs]
        return sorted(bucket for bucket in buckets if bucket) == ["tenant/a", "tenant/a", "tenant/b"]

    await eventually(are_in_line)
    await eventually(lambda: sorted(ran) == ["a", "b"])


async def test_two_versions_with_different_limits_agree(make_app: MakeApp, crew: Crew) -> None:
    ran: list[str] = []
    left, right = TokenBucket("left", rate="200/s", burst=50), TokenBucket("right", rate="200/s", burst=50)
    apps = make_app(), make_app()
    for app, limit in zip(apps, (left, right), strict=True):

        @app.task(name="work", limits=[limit])
        async def work(number: int) -> None:
            ran.append(f"{number}")

    for app in apps:
        await app.submit_many([])
    jobs = [await apps[number % 2].tasks["work"].submit(number) for number in range(40)]
    for app in apps:
        await crew.start(app)
    for job in jobs:
        await job.result(20)

    assert sorted(map(int, ran)) == list(range(40))
    assert {(await job.status()).failures for job in jobs} == {0}


async def test_needs_that_differ_at_each_reading_are_a_dead_letter(make_app: MakeApp, crew: Crew) -> None:
    app = make_app()
    keyed = TokenBucket("keyed", rate="100/s", burst=9, key="{key}")

    def chosen(key: str) -> str:
        return f"{key}{random.random()}"

    before = make_app()

    @app.task(name="odd", limits=[keyed], retries=0)
    async def odd(key: Annotated[str, BeforeValidator(chosen)]) -> None:
        raise AssertionError("it may not run")

    @before.task(name="odd")
    async def odd_before(key: str) -> None: ...

    await before.submit_many([])
    never = await before.tasks["odd"].submit("a")
    await crew.start(app)
    await never.wait(20)

    status = await never.status()
    assert status.state == "failed"
    assert status.error is not None
    assert (status.error.type, "reads a clock, or chooses at random" in status.error.message) == ("NeedsDiffer", True)
    assert status.attempt == 3


async def test_the_doctor_names_what_is_submitted_by_code_only_and_keys_of_two_types(
    make_app: MakeApp, crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.task(limits=[TENANT])
    async def by_text(tenant: str) -> None: ...

    @app.task(limits=[TENANT])
    async def by_uuid(tenant: UUID | None) -> None: ...

    @app.task(limits=[TENANT], fair_by="{region}")
    async def by_code(tenant: str, region: Annotated[str, BeforeValidator(str.lower)]) -> None: ...

    await crew.start(app)

    (finding,) = [finding for finding in await app.client.examine() if finding.check == "calls"]
    assert finding.level is Level.warning
    assert finding.text == (
        "task 'by_code' is submitted by code only, as fair_by takes its share from 'region' (validator); limit 'tenant' takes its key from"
        " 'tenant', which is str in 'by_code' and uuid in 'by_uuid': one value may have two buckets, so use one type"
    )
    assert "task by_code can be submitted by code only: fair_by takes its share from 'region' (validator)" in caplog.text


async def test_a_catalog_without_such_tasks_is_fine(make_app: MakeApp) -> None:
    app = make_app()

    @app.task(limits=[TENANT])
    async def work(tenant: str) -> None: ...

    await app.submit_many([])

    assert [finding.level for finding in await app.client.examine() if finding.check == "calls"] == [Level.ok]


async def test_an_override_below_a_cost_refuses_its_jobs_by_no_door(make_app: MakeApp) -> None:
    app = make_app()
    tokens = TokenBucket("tokens", capacity=10, refill=10, every=3600)

    @app.task(limits=[tokens], cost={"tokens": 5})
    async def work() -> None: ...

    await app.submit_many([])
    await app.client.control.override("tokens", capacity=3, duration=600, reason="slow down")

    for handle in (await work.submit(), await app.client.submit("work", {})):
        assert handle.first_state.is_new
    with pytest.raises(ExceedsCapacity, match=r"more than its bucket can ever hold \(10\)"):
        await app.client.submit("work", {}, JobOptions(cost={"tokens": 11}))


@pytest.mark.parametrize("fault", ["finish:after=lose@1", "finish:before=lose@1", "finish:after=lose@2", "claim:after=lose@1"])
async def test_a_lost_reply_while_needs_are_put_right_runs_no_job_twice_or_without_them(
    make_app: MakeApp, crew: Crew, redis: Redis, queue: str, fault: str
) -> None:
    runs: Counter[int] = Counter()
    before, now = make_app(), make_app(failpoints=fault, command_timeout_s=0.5)

    @before.task(name="charge")
    async def charge_before(order: int) -> None: ...

    @now.task(name="charge", limits=[FRAUD])
    async def charge_now(order: int) -> None:
        runs[order] += 1

    await before.submit_many([])
    jobs = [await before.tasks["charge"].submit(number) for number in range(6)]
    await crew.start(now)
    for job in jobs:
        await job.result(20)

    assert runs == Counter(range(6))
    assert {(await job.status()).failures for job in jobs} == {0}
    assert await invariants.violations(redis, queue, [job.id for job in jobs], limits=[FRAUD], live=crew.ids) == []
