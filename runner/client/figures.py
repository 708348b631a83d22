"""The figures of a queue as metrics tell them: what is read of it for a page."""

import asyncio
import logging

from runner.client.homes import Homes
from runner.client.overlook import Overlook
from runner.errors import RunnerError
from runner.limits import Limit, LimitState
from runner.store import JobStore, LimitOverview, Overview, server_facts
from runner.telemetry import Figures, HomeFigures, LimitFigures, PoolFigures

log = logging.getLogger("runner")

_HOME_S = 0.5
"""A page of metrics does not wait longer for the homes of shared limits."""
_MOST_SHARED = 50
_WAITING = "waiting"
_STATES = ("queued", "scheduled", "running", "failed", "cancelled", "expired")
"""Of those that succeeded there is a number of the last 24 hours only; workers count them."""


async def figures_of(store: JobStore, overlook: Overlook, homes: Homes | None = None) -> Figures:
    """How the queue is now, by three calls: its overview, which all processes share, its pools, and the memory of the server.

    One more for each limit without a key that several queues share, of its home; one that does not answer soon is left out.

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
        homes=() if homes is None else await _at_homes(homes, overview),
    )


async def _at_homes(homes: Homes, overview: Overview) -> tuple[HomeFigures, ...]:
    shared = [one.code for one in overview.limits if one.code.shared is not None and one.code.key is None][:_MOST_SHARED]
    found = await asyncio.gather(*(_at_home(homes, limit) for limit in shared))
    return tuple(one for one in found if one is not None)


async def _at_home(homes: Homes, limit: Limit) -> HomeFigures | None:
    try:
        async with asyncio.timeout(_HOME_S):
            status = await homes.opened(limit).sharers(limit.name)
    except (RunnerError, TimeoutError) as error:
        log.info("the home of shared limit %s could not be asked: %r", limit.name, error)
        return None
    return None if status is None else HomeFigures(limit.name, status.out, status.tokens, len(status.queues))


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
