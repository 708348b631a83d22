"""Examination: all that the doctor looks at, once the server itself can be used."""

from runner.client.call_findings import call_findings
from runner.store import Finding, JobStore, Level, examine, examine_catalog, examine_workers, throttled_often


async def examine_queue(store: JobStore) -> list[Finding]:
    """One finding at least for each check. Raises `StoreUnavailable`."""
    findings = await examine(store)
    if any(finding.level is Level.error for finding in findings):
        return findings
    specs = [task.spec for task in await store.tasks() if task.spec is not None]
    calls = call_findings(specs, await store.declared())
    return [*findings, *await examine_catalog(store), await throttled_often(store), calls, await examine_workers(store)]
