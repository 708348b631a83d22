"""The overview as a client tells it: how the whole queue stands, once or again each second, within what its caller may see."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from runner.access import Principal, Scope
from runner.client.sessions import Sessions
from runner.errors import Forbidden
from runner.store import Overview


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


def overview_for(principal: Principal, overview: Overview) -> Overview:
    """What a caller may see of it. Numbers of all jobs are for who may see all; the rest goes by the rights. Raises `Forbidden` for a tenant."""
    if principal.tenant is not None:
        raise Forbidden(f"{principal.label} may see its own jobs only, and the overview tells of all")
    rights, hidden = principal.scopes, dict[str, Any]()
    if principal.tasks or Scope.jobs_read not in rights:
        hidden |= {"jobs": None, "reasons": None, "finished_min": None, "failed_min": None}
    if Scope.workers_read not in rights:
        hidden |= {"slots": None, "workers": None, "leader": None}
    if Scope.limits_read not in rights:
        hidden |= {"limits": (), "more": 0, "started_s": 0.0, "oldest_wait_s": None, "paused": None}
    if Scope.audit_read not in rights and overview.changes:
        hidden["changes"] = ()
    return replace(overview, **hidden) if hidden else overview


async def overviews_for(principal: Principal, overviews: AsyncGenerator[Overview, None]) -> AsyncGenerator[Overview, None]:
    """The same of each."""
    async with aclosing(overviews) as all_overviews:
        async for overview in all_overviews:
            yield overview_for(principal, overview)
