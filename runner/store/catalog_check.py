"""What the doctor finds in the catalog: tasks that no worker serves, versions side by side, and entries that are damaged."""

from collections.abc import Sequence

from runner.errors import NotPermitted
from runner.jobs import TaskStatus
from runner.names import first_of
from runner.store.declarations import Declarations
from runner.store.finding import Finding, Level

_MOST_NAMED = 10


async def examine_catalog(store: Declarations) -> list[Finding]:
    """Findings about what is declared on a queue. Raises `StoreUnavailable`."""
    try:
        tasks, versions, damaged = await store.tasks(), await store.live_versions(), await store.damaged_limits()
    except NotPermitted:
        return [Finding("tasks", Level.unknown, "could not check the catalog: this user may not call a command of the scripts")]
    found = []
    unserved = [task for task in tasks if not task.served]
    if unserved:
        found.append(Finding("tasks", Level.warning, _unserved(unserved)))
    found += [
        Finding("tasks", Level.warning, f"task {task.name!r} cannot be submitted by name: {task.fault}; start a worker that declares it")
        for task in tasks
        if task.fault
    ]
    if damaged:
        what = f"the entries of limits {first_of(damaged, _MOST_NAMED)} cannot be read, and jobs that need them wait"
        found.append(Finding("limits", Level.warning, f"{what}: start a worker that declares them"))
    if versions > 1:
        text = f"workers of {versions} versions are at work, and of two that declare differently the one that started last is published"
        found.append(Finding("versions", Level.warning, f"{text}, unless RUNNER_REVISION or Runner(revision=...) says which is the newer"))
    return found or [Finding("tasks", Level.ok, f"{len(tasks)} tasks, each served by a live worker" if tasks else "none is published yet")]


def _unserved(tasks: Sequence[TaskStatus]) -> str:
    held = sum(task.held for task in tasks)
    jobs = f", and {held} of their jobs wait for one" if held else ""
    what = "its jobs wait" if len(tasks) == 1 else "their jobs wait"
    return (
        f"no live worker serves {first_of([task.name for task in tasks], _MOST_NAMED)}{jobs}: {what} with the reason `no worker`;"
        " start such a worker, or remove what is no longer needed: python -m runner tasks remove NAME"
    )
