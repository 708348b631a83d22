"""What doctor finds about schedules: those that are not fired, and those whose jobs nobody would run."""

from collections.abc import Sequence

from runner.errors import NotPermitted
from runner.jobs import ScheduleStatus
from runner.names import first_of
from runner.store.finding import Finding, Level
from runner.store.job_store import JobStore

_MOST_NAMED = 5


async def examine_schedules(store: JobStore) -> list[Finding]:
    """One finding at least. Raises `StoreUnavailable`."""
    try:
        names = await store.schedule_names()
        if not names:
            return [Finding("schedules", Level.ok, "there is no schedule")]
        _, found = await store.known_schedules(names)
        served = {task.name for task in await store.tasks() if task.served}
    except NotPermitted:
        return [Finding("schedules", Level.unknown, "could not check the schedules: this user may not read them")]
    findings = list(_warnings([known.status for known in found if known.status is not None], served))
    return findings or [Finding("schedules", Level.ok, f"{len(names)} schedules, each of a task that a live worker serves")]


def _warnings(statuses: Sequence[ScheduleStatus], served: set[str]) -> list[Finding]:
    dormant = [status.name for status in statuses if status.state == "dormant"]
    damaged = [status.name for status in statuses if status.fault is not None]
    idle = [
        f"{status.name} (task {status.spec.task})"
        for status in statuses
        if status.spec is not None and status.state == "active" and status.spec.task not in served
    ]
    texts = (
        (dormant, "not fired, as no live worker declares them: start a worker with their code, or remove them; after 7 days they go"),
        (idle, "of tasks that no live worker serves, so that their jobs wait: start a worker with the task, or pause them"),
        (damaged, "not fired, as their entries are damaged: remove them, and add them again or start their code"),
    )
    return [
        Finding("schedules", Level.warning, f"{len(which)} schedules ({first_of(which, _MOST_NAMED)}) are {text}")
        for which, text in texts
        if which
    ]
