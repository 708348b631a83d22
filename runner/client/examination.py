"""Examination: all that the doctor looks at, once the server itself can be used."""

from collections.abc import Awaitable, Callable
from functools import partial

from runner.client.call_findings import call_findings
from runner.client.homes import Homes
from runner.errors import DamagedQueue
from runner.limits import Limit
from runner.store import (
    Finding,
    JobStore,
    Level,
    examine,
    examine_catalog,
    examine_home,
    examine_memory,
    examine_pauses,
    examine_pools,
    examine_schedules,
    examine_workers,
    throttled_often,
)


async def examine_queue(store: JobStore, homes: Homes | None = None) -> list[Finding]:
    """One finding at least for each check. Raises `StoreUnavailable`."""
    findings = await examine(store)
    if any(finding.level is Level.error for finding in findings):
        return findings
    shared = {} if homes is None else {"shared limits": partial(_shared, homes=homes)}
    for check, look in (_CHECKS | shared).items():
        try:
            findings += await look(store)
        except DamagedQueue:
            findings.append(Finding(check, Level.unknown, f"could not check {check}, as a key of the queue holds something else: see keys"))
    return findings


async def _shared(store: JobStore, homes: Homes) -> list[Finding]:
    """Of the homes of all limits that the queue shares; nothing if it shares none."""
    scopes: dict[str, list[Limit]] = {}
    for limit in (await store.declared()).values():
        if limit.shared is not None:
            scopes.setdefault(limit.shared, []).append(limit)
    findings = []
    for limits in scopes.values():
        findings += await examine_home(homes.opened(limits[0]), limits)
    return findings


async def _throttled(store: JobStore) -> list[Finding]:
    return [await throttled_often(store)]


async def _calls(store: JobStore) -> list[Finding]:
    specs = [task.spec for task in await store.tasks() if task.spec is not None]
    return [call_findings(specs, await store.declared())]


async def _workers(store: JobStore) -> list[Finding]:
    return [await examine_workers(store)]


async def _pools(store: JobStore) -> list[Finding]:
    return [await examine_pools(store)]


async def _pauses(store: JobStore) -> list[Finding]:
    return [await examine_pauses(store)]


_CHECKS: dict[str, Callable[[JobStore], Awaitable[list[Finding]]]] = {
    "tasks": examine_catalog,
    "throttled": _throttled,
    "calls": _calls,
    "workers": _workers,
    "pauses": _pauses,
    "schedules": examine_schedules,
    "pools": _pools,
    "kept": examine_memory,
}
