"""The figures of a queue as metrics tell them: what is read of it for a page."""

from runner.client.overlook import Overlook
from runner.limits import LimitState
from runner.store import JobStore, LimitOverview, Overview, server_facts
from runner.telemetry import Figures, LimitFigures, PoolFigures

_WAITING = "waiting"
_STATES = ("queued", "scheduled", "running", "failed", "cancelled", "expired")
"""Of those that succeeded there is a number of the last 24 hours only; workers count them."""


async def figures_of(store: JobStore, overlook: Overlook) -> Figures:
    """How the queue is now, by three calls: its overview, which all processes share, its pools, and the memory of the server.

    Raises `StoreUnavailable`.
    """
    overview, pools, server = await overlook.look(), await store.pools(), await server_facts(store)
    slots, leader = overview.slots, overview.leader
    return Figures(
        jobs=_jobs(overview),
        limits=tuple(map(_limit, overview.limits)),
        pools=tuple(PoolFigures(pool.name, pool.ready, pool.running, pool.waiting, pool.readers) for pool in pools),
        workers=overview.workers or 0,
        slots=slots.total if slots is not None else 0,
        stuck_slots=slots.stuck if slots is not None else 0,
        has_leader=leader is not None and leader.worker is not None,
        oldest_wait_s=overview.oldest_wait_s or 0.0,
        memory_bytes=server.memory_bytes,
        memory_max_bytes=server.memory_max_bytes,
    )


def _jobs(overview: Overview) -> dict[tuple[str, str], int]:
    """By state, and of those that wait by reason; 0 where there are none, so that nothing vanishes from a chart."""
    jobs, reasons = overview.jobs or {}, overview.reasons or {}
    return {(state, ""): jobs.get(state, 0) for state in _STATES} | {(_WAITING, reason): number for reason, number in reasons.items()}


def _limit(one: LimitOverview) -> LimitFigures:
    is_keyed = one.code.key is not None or one.policy.key is not None
    return LimitFigures(
        name=one.name,
        capacity=one.policy.capacity,
        available=None if is_keyed else one.tokens,
        waiting=one.waiting,
        waiting_buckets=one.buckets.waiting,
        frozen_s=one.frozen_s,
        is_paused=one.state is LimitState.paused,
        is_overridden=one.override is not None,
        provider=None if is_keyed else one.provider,
    )
