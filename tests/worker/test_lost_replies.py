"""Replies that are lost after their command was executed, and commands that arrive after their sender has given up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from runner import Runner, StoreUnavailable, TokenBucket
from runner.jobs.job import Priority
from runner.store import scripts
from runner.store.keys import GROUP, Keys
from tests import invariants
from tests.app_internals import publish
from tests.eventually import eventually
from tests.proxy import Proxy
from tests.recovery import Recovery
from tests.worker.conftest import Crew, MakeApp

LIMIT = TokenBucket("paced", rate="40/s", burst=4)


class Setting:
    """The app of a worker behind a proxy, and that of a producer without one; `runs` counts the handlers by job id."""

    def __init__(self, behind: Runner, direct: Runner, proxy: Proxy) -> None:
        self.behind, self.direct, self.proxy = behind, direct, proxy
        self.runs: Counter[str] = Counter()
        self.ids: list[str] = []
        self.work_s = 0.002

        async def work(name: str) -> str:
            self.runs[name] += 1
            await asyncio.sleep(self.work_s)
            return name

        for app in (behind, direct):
            self.free = app.task(name="free")(work)
            self.metered = app.task(name="metered", limits=[LIMIT])(work)

    async def submit(self, count: int) -> None:
        """Submit `count` jobs of each kind: ready at once, with a limit, and delayed."""
        names = [f"j{len(self.ids) + number}" for number in range(3 * count)]
        self.ids += names
        jobs = []
        for place, name in enumerate(names):
            task = (self.free, self.metered, self.free)[place % 3].with_options(id=name, delay=0.05 if place % 3 == 2 else None)
            jobs.append(task.prepare(name))
        await self.direct.submit_many(jobs)

    async def wrong(self, redis: Redis, queue: str, live: list[str]) -> list[str]:
        found = await invariants.violations(redis, queue, self.ids, limits=[LIMIT], runs=self.runs, live=live)
        return found + [f"{name} ran {count} times" for name, count in self.runs.items() if count > 1]


@pytest.fixture(params=[60.0])
async def setting(make_app: MakeApp, redis: Redis, direct_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    """By default the lease is so long that no fault heals by its end; parametrize it where that is the cure."""
    for name in scripts.script_names():
        await redis.script_load(scripts.load(name).source)
    async with Proxy(direct_url) as proxy:
        yield Setting(make_app(redis_url=proxy.url, command_timeout_s=0.5, lease_s=request.param, renew_s=0.4), make_app(), proxy)


def words_of(operation: str) -> tuple[str, ...]:
    """The words by which the proxy knows the operation's command."""
    return (operation,) if operation.isupper() else ("EVALSHA", scripts.load(operation).sha)


LOST = [pytest.param("XREADGROUP", marks=pytest.mark.fault("F05", bound_s=5))]
LOST += [
    pytest.param(operation, marks=pytest.mark.fault("F04", bound_s=5))
    for operation in ("claim", "finish", "heartbeat", "lead", "refill", "promote", "expire", "reclaim", "BLPOP")
]


@pytest.mark.parametrize("operation", LOST)
async def test_a_worker_that_loses_replies_runs_each_job_once(
    setting: Setting, redis: Redis, queue: str, crew: Crew, recovery: Recovery, operation: str
) -> None:
    worker = await crew.start(setting.behind)
    name = worker.id
    for lost in range(1, 5):
        setting.proxy.lose_reply_of(*words_of(operation))
        await setting.submit(3)
        await eventually(lambda: setting.proxy.lost_replies == lost)  # noqa: B023 - awaited at once
    recovery.begins()
    await setting.submit(3)

    await eventually(lambda: is_right(setting, redis, queue, crew))
    recovery.ends()
    assert setting.runs.total() == 45
    assert worker.id == name
    await crew.stop(worker)


@pytest.mark.fault("F04", bound_s=5)
async def test_a_give_back_whose_reply_is_lost_gives_back_once(
    setting: Setting, redis: Redis, queue: str, crew: Crew, recovery: Recovery
) -> None:
    worker = await crew.start(setting.behind)
    for lost in range(1, 5):
        setting.proxy.lose_reply_of(*words_of("reconcile"))
        setting.proxy.cut_connections()
        await setting.submit(3)
        await eventually(lambda: setting.proxy.lost_replies == lost)  # noqa: B023 - awaited at once
    recovery.begins()

    await eventually(lambda: is_right(setting, redis, queue, crew))
    recovery.ends()
    await crew.stop(worker)


@pytest.mark.fault("F04")
async def test_a_submission_whose_reply_is_lost_is_repeated_and_is_one_job(setting: Setting, redis: Redis, queue: str, crew: Crew) -> None:
    worker = await crew.start(setting.direct)
    jobs = [setting.metered.with_options(id=f"j{number}").prepare(f"j{number}") for number in range(10)]
    await publish(setting.behind)
    setting.proxy.lose_reply_of(*words_of("submit"))
    with pytest.raises(StoreUnavailable):
        await setting.behind.submit_many(jobs)

    again = await setting.behind.submit_many(jobs)

    assert {job.first_state for job in again} == {"existing"}
    setting.ids += [job.id for job in again]
    await eventually(lambda: is_right(setting, redis, queue, crew))
    assert setting.runs == dict.fromkeys(setting.ids, 1)
    await crew.stop(worker)


async def test_connections_that_fall_silent_are_given_up(setting: Setting, redis: Redis, queue: str, crew: Crew) -> None:
    worker = await crew.start(setting.behind)
    await setting.submit(2)
    await eventually(lambda: len(setting.runs) == 6)
    assert setting.proxy.freeze_connections() >= 4
    await setting.submit(2)

    await eventually(lambda: is_right(setting, redis, queue, crew))
    assert setting.runs.total() == 12
    await crew.stop(worker)


@pytest.mark.parametrize(
    ("operation", "setting"), [("XREADGROUP", 2), ("claim", 2), ("reconcile", 60), ("finish", 60)], indirect=["setting"]
)
async def test_a_command_that_arrives_after_its_sender_gave_up_costs_no_job(
    setting: Setting, redis: Redis, queue: str, crew: Crew, operation: str
) -> None:
    worker = await crew.start(setting.behind)
    setting.proxy.hold(*words_of(operation))
    if operation == "reconcile":
        setting.proxy.lose_reply_of(*words_of("claim"))
    await setting.submit(2)
    await eventually(lambda: setting.proxy.held_commands == 1)
    await eventually(lambda: len(setting.runs) == 6)
    setting.work_s = 0.5
    await setting.submit(8)
    await eventually(lambda: len(setting.runs) == 6 + worker.state.slots)  # all slots are busy, and more is ready
    setting.proxy.release()

    await eventually(lambda: is_right(setting, redis, queue, crew))
    assert setting.runs.total() == 30
    await crew.stop(worker)


async def test_a_read_that_arrives_when_its_worker_has_signed_off_costs_no_job(
    setting: Setting, redis: Redis, queue: str, crew: Crew
) -> None:
    """A read that arrives late creates the consumer of a worker that has left; the leader's next reclaim gives back what it got."""
    leaving = await crew.start(setting.behind)
    setting.proxy.hold("XREADGROUP")
    await eventually(lambda: setting.proxy.held_commands == 1)
    await crew.stop(leaving)
    await setting.submit(2)
    setting.proxy.release()
    await eventually(lambda: is_known(redis, queue, leaving.id))

    await crew.start(setting.direct)
    await eventually(lambda: is_right(setting, redis, queue, crew))
    assert setting.runs.total() == 6


async def is_known(redis: Redis, queue: str, worker: str) -> bool:
    consumers = await redis.xinfo_consumers(Keys(queue).stream(Priority.normal), GROUP)
    return worker.encode() in [row["name"] for row in consumers]


async def is_right(setting: Setting, redis: Redis, queue: str, crew: Crew) -> bool:
    return not await setting.wrong(redis, queue, crew.ids)
