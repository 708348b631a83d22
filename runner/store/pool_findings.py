"""What doctor finds about pools: those that no live worker reads, though there are jobs for them or tasks that send some."""

from runner.errors import NotPermitted
from runner.names import DEFAULT_POOL, base_pool, first_of
from runner.store.finding import Finding, Level
from runner.store.job_store import JobStore

_MOST_NAMED = 5


async def examine_pools(store: JobStore) -> Finding:
    """Names the pools that nobody reads. Raises `StoreUnavailable`."""
    try:
        pools = {pool.name: pool for pool in await store.pools()}
        tasks = [task.spec for task in await store.tasks() if task.spec is not None]
    except NotPermitted:
        return Finding("pools", Level.unknown, "could not check who reads which pool: this user may not read it")
    unread = []
    for name in dict.fromkeys([*pools, *(spec.pool for spec in tasks)]):
        pool = pools.get(name)
        jobs = 0 if pool is None else pool.ready + pool.running + pool.waiting
        of_tasks = [spec.name for spec in tasks if spec.pool == name and name != DEFAULT_POOL]
        if (pool is None or not pool.readers) and (jobs or of_tasks):
            why = [f"{jobs} jobs"] if jobs else []
            unread.append(f"{base_pool(name)} ({', '.join([*why, *(f'task {task}' for task in of_tasks[:_MOST_NAMED])])})")
    if not unread:
        return Finding("pools", Level.ok, "a live worker reads each pool that has jobs")
    remedy = "start one with --pool and the name, or send their jobs to another pool: until then they wait"
    return Finding("pools", Level.warning, f"no live worker reads {first_of(unread, _MOST_NAMED)}: {remedy}")
