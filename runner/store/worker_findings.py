"""What doctor finds about workers: those that have met errors of their own."""

from runner.errors import NotPermitted
from runner.names import first_of
from runner.store.finding import Finding, Level
from runner.store.jobs import Jobs

_MOST_NAMED = 5
_REMEDY = "look for CRITICAL lines in its log, and report them"


async def examine_workers(store: Jobs) -> Finding:
    """Names the workers that have met defects. Raises `StoreUnavailable`."""
    try:
        workers = await store.workers()
    except NotPermitted:
        return Finding("workers", Level.unknown, "could not check which workers have met errors of their own: this user may not read them")
    lines = [f"worker {worker.id} {worker.defects} times" for worker in workers if worker.defects]
    if not lines:
        return Finding("workers", Level.ok, f"{len(workers)} at work, and none has met an error of its own")
    return Finding("workers", Level.warning, f"a defect of the worker itself was met by {first_of(lines, _MOST_NAMED)}: {_REMEDY}")
