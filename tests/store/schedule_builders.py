"""Builders for the tests of schedules: schedules that are put into a queue, a leader that fires them, and what became of their instants."""

from typing import Any

from runner.client.schedules import put_of
from runner.clock import MICROSECONDS
from runner.jobs import ScheduleSpec, ScheduleStatus, make_schedule
from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit
from runner.store.job_store import JobStore
from runner.worker.ticker import Ticker, at_once
from tests.store.builders import Clock


async def publish_task(store: JobStore, name: str = "work", *limits: Limit) -> None:
    """A task without arguments."""
    spec = TaskSpec(name, {}, tuple(limit.name for limit in limits), form={"k": "map", "v": {"k": "any"}})
    await store.publish({name: spec.to_json()}, limits)


async def put(store: JobStore, name: str = "s", task: str = "work", **given: Any) -> ScheduleSpec:
    """Add a schedule, or change it, as a program does at run time."""
    spec = make_schedule(name, task, **given)
    while True:
        now_us, (known,) = await store.known_schedules([name])
        if await store.change_schedule(put_of(spec, spec.to_json(), known, now_us)):
            return spec


async def declare_in_code(store: JobStore, name: str = "s", task: str = "work", **given: Any) -> ScheduleSpec:
    """The same as the code of a worker does."""
    spec = make_schedule(name, task, **given)
    now_us, (known,) = await store.known_schedules([name])
    assert await store.change_schedule(put_of(spec, spec.to_json(), known, now_us)._replace(in_code=True))
    return spec


def ticker(store: JobStore) -> Ticker:
    """A leader that has just begun."""
    return Ticker(store, compute=at_once)


async def tick(store: JobStore, leader: Ticker | None = None) -> None:
    """Let a leader fire all that is due."""
    leader = leader or ticker(store)
    while await leader.tick() == 0.0:
        pass


async def stands(store: JobStore, name: str = "s") -> ScheduleStatus:
    _, (known,) = await store.known_schedules([name])
    assert known.status is not None
    return known.status


async def counts(store: JobStore, name: str = "s") -> tuple[int, int, int, int]:
    """Made, missed, skipped, refused."""
    status = await stands(store, name)
    return status.made, status.missed, status.skipped, status.refused


async def made(store: JobStore, name: str = "s") -> list[str]:
    """The instants of its jobs, in order."""
    ids = [job_id for job_id in await store.job_ids() if job_id.startswith(f"{name}:")]
    return sorted(job_id.partition(":")[2] for job_id in ids)


def seconds_until(status: ScheduleStatus, clock: Clock) -> float:
    assert status.next_at is not None
    return round(status.next_at - clock.now_us / MICROSECONDS, 6)
