"""The figures of a queue as metrics tell them: what is read of it for a page."""

from runner.jobs import JobCounts
from runner.limits import LimitStatus
from runner.store import JobStore, server_memory
from runner.telemetry import Figures, LimitFigures, PoolFigures

_WAITING = "waiting"
_STATES = ("queued", "scheduled", "running", "failed", "cancelled", "expired")


async def figures_of(store: JobStore) -> Figures:
    """How the queue is now. Raises `StoreUnavailable`."""
    counts, limits, workers, pools = await store.counts(), await store.limits(), await store.workers(), await store.pools()
    memory = await server_memory(store)
    return Figures(
        jobs=_jobs(counts),
        limits=tuple(map(_limit, limits)),
        pools=tuple(PoolFigures(pool.name, pool.ready, pool.running, pool.waiting, pool.readers) for pool in pools),
        workers=len(workers),
        slots=sum(worker.slots or 0 for worker in workers),
        stuck_slots=sum(worker.stuck for worker in workers),
        has_leader=any(worker.leader for worker in workers),
        memory_bytes=None if memory is None else memory[0],
        memory_max_bytes=None if memory is None else memory[1],
    )


def _jobs(counts: JobCounts) -> dict[tuple[str, str], int]:
    """By state, and of those that wait by reason; 0 where there are none, so that nothing vanishes from a chart."""
    found = {(state, ""): getattr(counts, state) for state in _STATES}
    told = {(_WAITING, reason): number for reason, number in counts.waiting_for.items()}
    return found | {(_WAITING, "line"): 0} | told


def _limit(status: LimitStatus) -> LimitFigures:
    is_single = status.code.key is None and status.policy.key is None
    return LimitFigures(
        name=status.name,
        capacity=status.policy.capacity,
        available=status.buckets[0].tokens if is_single and status.buckets else None,
        waiting=status.waiting,
        waiting_buckets=status.waiting_buckets,
        frozen_s=max([status.frozen_s, *(bucket.frozen_s for bucket in status.buckets)] if is_single else [status.frozen_s]),
        is_paused=status.paused is not None,
        is_overridden=status.override is not None,
    )
