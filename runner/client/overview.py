"""The overview as a client tells it: how the whole queue stands, once or again each second, within what its caller may see."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from runner.access import Principal, Scope
from runner.client.control import checked_bucket
from runner.client.overlook import Overlook
from runner.client.sessions import Sessions
from runner.errors import ConfigurationError, Forbidden
from runner.ranges import checked_whole
from runner.store import MOST_BUCKETS, MOST_PLACES, Overview, WaitingBuckets, WaitingLine

_MOST_OF_A_LINE = 500


class Overlooking:
    """A part of `Client`: its verbs that tell how the whole queue stands."""

    @property
    def _sessions(self) -> Sessions:
        raise NotImplementedError

    async def overview(self) -> Overview:
        """How the queue stands: jobs by state and reason, workers, and its limits, those with the longest lines first, 200 at most.

        It is read from Redis once a second at most, however many ask, in whatever process: it can be a second old.
        """
        return await self._sessions.here.overlook.look()

    def overviews(self) -> AsyncGenerator[Overview, None]:
        """How the queue stands, and again each second; it never ends. Raises `StoreUnavailable`."""
        return self._sessions.here.overlook.watch()

    async def waiting_line(self, bucket: str, *, after: int = 0, most: int = 100) -> WaitingLine:
        """Who waits at a bucket ("stripe", or "tenant/t7"), in the order in which they are served as things stand: `most` after so many.

        Of a limit with a key alone it is the bucket where most wait. The order is told up to place 1,000, 500 at once. Raises `UnknownLimit`.
        """
        checked_whole("jobs of a page", most, of="a line")
        if not 0 <= after <= MOST_PLACES:
            raise ConfigurationError(f"after is {after!r:.60}: give the place after which to go on, up to {MOST_PLACES}")
        store = self._sessions.here.store
        name = await checked_bucket(store, bucket)
        if "/" not in name:
            first = (await store.waiting_buckets(name, most=1)).buckets
            name = first[0].bucket if first else name
        return await store.line(name, after, min(most, _MOST_OF_A_LINE))

    async def waiting_buckets(self, limit: str, *, find: str = "", cursor: str | None = None, most: int = MOST_BUCKETS) -> WaitingBuckets:
        """The buckets of a limit with a key at which jobs wait, 50 at most: those with most jobs first, then page by page by name.

        find: how the key begins. Of very many buckets those with most jobs are the ones among some of them. Raises `UnknownLimit`.
        """
        if not 1 <= most <= MOST_BUCKETS:
            raise ConfigurationError(f"most is {most!r:.60}: give a number of buckets from 1 to {MOST_BUCKETS}")
        store = self._sessions.here.store
        return await store.waiting_buckets(await checked_bucket(store, limit.partition("/")[0]), find, cursor or "", most)


def hidden_of(principal: Principal) -> frozenset[str]:
    """What a caller may not see of an overview. Numbers of all jobs are for who may see all; the rest goes by the rights.

    Raises `Forbidden` for a tenant.
    """
    if principal.tenant is not None:
        raise Forbidden(f"{principal.label} may see its own jobs only, and the overview tells of all")
    rights = principal.scopes
    hidden = {part for right, parts in _PARTS_OF_RIGHTS.items() if right not in rights for part in parts}
    return frozenset(hidden | set(_PARTS_OF_RIGHTS[Scope.jobs_read])) if principal.tasks else frozenset(hidden)


_PARTS_OF_RIGHTS = {
    Scope.jobs_read: ("jobs", "reasons", "finished_min", "failed_min"),
    Scope.workers_read: ("slots", "workers", "leader"),
    Scope.limits_read: ("limits", "more", "started_s", "oldest_wait_s", "paused"),
    Scope.audit_read: ("changes",),
}


async def overviews_for(principal: Principal, overlook: Overlook) -> AsyncGenerator[Overview, None]:
    """What a caller may see of each."""
    hidden = hidden_of(principal)
    async with aclosing(overlook.watch()) as overviews:
        async for overview in overviews:
            yield overlook.without(overview, hidden)


def line_for(principal: Principal, line: WaitingLine) -> WaitingLine:
    """What a caller may see of a line: of the jobs of others that they are there. Raises `Forbidden` for a tenant."""
    if principal.tenant is not None:
        raise Forbidden(f"{principal.label} may see its own jobs only, and a line has those of all")
    if not principal.tasks:
        return line
    hidden: dict[str, Any] = {"id": None, "task": None, "key": None}
    return replace(line, jobs=tuple(job if principal.allows_task(job.task or "") else replace(job, **hidden) for job in line.jobs))


def check_sees_keys(principal: Principal) -> None:
    """Whether a caller may know the keys of all. Raises `Forbidden` for a tenant."""
    if principal.tenant is not None:
        raise Forbidden(f"{principal.label} may see its own bucket only, as `limits` tells it")
