"""What waits in the queue of an app now, for a plan that comes on top of it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from runner.client import Runner, session_of
from runner.errors import ConfigurationError
from runner.jobs import BudgetPace, TaskSpec
from runner.limits import Limit, QueuePace
from runner.simulation import JobGroup, Live, buckets_of_plan

_MOST_BUCKETS = 40


class Found(NamedTuple):
    """What waits, the slots of the workers of the task's pool, when its budgets end at the present pace, and what the queue gets of shared limits."""

    live: Live
    slots: int
    budgets: tuple[BudgetPace, ...]
    shares: Mapping[str, QueuePace]


def look(runner: Runner, spec: TaskSpec, limits: Sequence[Limit], groups: Iterable[JobGroup], run_us: int) -> Found:
    """The queue as it is. run_us: how long jobs run, where the history does not know it.

    Raises `ConfigurationError` if there is more than can be played, `UnknownLimit`, `StoreUnavailable`.
    """
    return asyncio.run(_look(runner, spec, limits, buckets_of_plan(spec, limits, groups), run_us))


async def _look(runner: Runner, spec: TaskSpec, limits: Sequence[Limit], planned: Sequence[str], run_us: int) -> Found:
    client = runner.client
    try:
        store = session_of(client).store
        waiting = [one.bucket for limit in limits if limit.key for one in (await client.waiting_buckets(limit.name)).buckets]
        own = [limit.name for limit in limits if limit.key is None]
        names = list(dict.fromkeys([*own, *waiting]))
        names += [name for name in planned if name not in names][: max(_MOST_BUCKETS - len(names), 0)]
        found = await store.around(names)
        if found is None:
            raise ConfigurationError(
                f"what waits in queue {runner.queue!r} cannot be played: it is at more than {_MOST_BUCKETS} buckets, or in more than 300 lines,"
                " or a limit is paused or not published, or it is shared and nobody knows what this queue will get: it is a quota, or its home is away; leave out --live"
            )
        known = await store.run_times_us([spec.name])
        slots = sum(pool.slots for pool in await client.pools() if pool.name == spec.pool)
        budgets = [await client.budget(limit.name) for limit in limits if limit.unit is not None and limit.key is None]
        paces = tuple(pace for pace in budgets if pace is not None)
        shares = {row.limit.name: row.pace for row in found.buckets if row.pace is not None}
        return Found(Live(replace(found, limits=tuple(limits)), run_us or known[spec.name] or 0), slots, paces, shares)
    finally:
        await runner.close()
