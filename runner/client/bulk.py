"""Bulks: acts upon all jobs that a filter asks for: counted first, then confirmed with their number, then done a page at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from runner.client.blocking import Blocking, through
from runner.client.reasons import checked_reason
from runner.client.view import View
from runner.clock import monotonic_s
from runner.errors import AlreadyFinished, ConfigurationError
from runner.foreign import shown
from runner.jobs import (
    BulkAction,
    BulkPhase,
    BulkStatus,
    CountChanged,
    JobFilter,
    State,
    TooManyBulks,
    UnknownBulk,
    check_job_id,
    new_job_id,
    question_of,
)
from runner.names import unknown_name
from runner.ranges import checked, checked_whole
from runner.store import BulkAnswer, JobStore

_AT_ONCE_S = 0.05
"""So long who begins or confirms one does its pages: most are over then. The leader does the others."""
_PAUSE_S = 0.005
"""Between two pages of who waits for one, so that others are served."""


class Bulks:
    """Cancel, retry, delete or purge many jobs of a queue. Each method returns the bulk as it stands then.

    What it is done to was submitted before the count began, and is what the filter asks for when its turn comes. The leader works it off, and so does whoever
    waits for it: if all of them die it goes on where it was, and nothing is done twice.
    """

    def __init__(self, store_here: Callable[[], JobStore], view: View) -> None:
        self._store_here = store_here
        self._view = view

    @property
    def _store(self) -> JobStore:
        """The store of the running event loop."""
        return self._store_here()

    async def begin(self, action: str, filter: JobFilter, *, reason: str = "", id: str | None = None) -> BulkStatus:
        """Begin to count the jobs: `cancel`, `retry`, `delete` (what has ended) or `purge` (what is not running: cancel it, and delete).

        With an id of your own the call can be repeated. Nothing is done to them before `confirm`. Raises `ConfigurationError` for a filter that asks for
        jobs it cannot be done to, `TooManyBulks` if ten are open.
        """
        if action not in set(BulkAction):
            raise ConfigurationError(unknown_name("a bulk", "action", action, BulkAction))
        act = BulkAction(action)
        chosen = _within(act, filter)
        bulk_id = new_job_id() if id is None else check_job_id(id)
        reason = checked_reason(reason)
        wire = question_of(chosen, self._view.within)
        answer = await self._store.begin_bulk(bulk_id, act, wire, filter.document(), owner=self._view.owner, reason=reason)
        if answer is BulkAnswer.full:
            raise TooManyBulks("ten acts upon many jobs are open already: confirm them, or stop them")
        await self._go_on(bulk_id, monotonic_s() + _AT_ONCE_S)
        return await self.status(bulk_id)

    async def status(self, id: str) -> BulkStatus:
        """One as it stands. Raises `UnknownBulk`."""
        stored = await self._store.read_bulk(check_job_id(id))
        if stored is None or not self._sees(stored.owner):
            raise UnknownBulk(f"no act upon many jobs has the id {id!r}: it is kept for a week after its end")
        return stored.status

    async def all(self) -> list[BulkStatus]:
        """Those that are open, and those that ended last."""
        return [one.status for one in await self._store.list_bulks() if self._sees(one.owner)]

    async def counted(self, id: str, timeout: float | None = None) -> BulkStatus:
        """One that is counted, or as it is after `timeout` seconds. Raises `UnknownBulk`."""
        return await self._until(id, frozenset({BulkPhase.counting}), timeout)

    async def confirm(self, id: str, expected: int) -> BulkStatus:
        """Do it, to so many jobs as were counted. Raises `CountChanged` if there are others, `AlreadyFinished`, `UnknownBulk`."""
        await self.status(id)
        checked_whole("jobs of a bulk", expected, of=f"bulk {id!r}")
        phase, counted = await self._store.confirm_bulk(id, expected)
        if phase is None:
            return await self.status(id)
        if phase is BulkPhase.counting:
            raise _count_changed(f"bulk {id!r} is still being counted, and has {counted} jobs so far: confirm it when it is", counted)
        if phase not in (BulkPhase.acting, BulkPhase.counted) or (phase is BulkPhase.acting and counted != expected):
            raise AlreadyFinished(f"bulk {id!r} is {phase}, with {counted} jobs counted: begin another")
        if phase is BulkPhase.counted:
            raise _count_changed(f"bulk {id!r} has {counted} jobs, not {expected}: confirm that number if it is right", counted)
        await self._go_on(id, monotonic_s() + _AT_ONCE_S)
        return await self.status(id)

    async def stop(self, id: str) -> BulkStatus:
        """Go no further. What was done stays done. Raises `UnknownBulk`."""
        await self.status(id)
        await self._store.stop_bulk(id)
        return await self.status(id)

    async def wait(self, id: str, timeout: float | None = None) -> BulkStatus:
        """One that is over, or as it is after `timeout` seconds. Raises `UnknownBulk`; `CountChanged` if nobody has confirmed it."""
        status = await self._until(id, frozenset({BulkPhase.counting, BulkPhase.acting}), timeout)
        if status.phase is BulkPhase.counted:
            raise _count_changed(f"bulk {id!r} waits to be confirmed with its {status.counted} jobs", status.counted)
        return status

    async def _until(self, bulk_id: str, phases: frozenset[BulkPhase], timeout: float | None) -> BulkStatus:
        until_s = float("inf") if timeout is None else monotonic_s() + checked("timeout of a wait", timeout)
        status = await self.status(bulk_id)
        while status.phase in phases and monotonic_s() < until_s:
            await self._go_on(bulk_id, min(until_s, monotonic_s() + _AT_ONCE_S))
            await asyncio.sleep(_PAUSE_S)
            status = await self.status(bulk_id)
        return status

    async def _go_on(self, bulk_id: str, until_s: float) -> None:
        """Its next pages, until it is over or the time is."""
        while (await self._store.bulk(bulk_id)).more:
            if monotonic_s() >= until_s:
                break

    def _sees(self, owner: str) -> bool:
        return self._view.owner in ("", owner)


class BlockingBulks(Blocking):
    """`Bulks` for code without an event loop."""

    __slots__ = ()

    begin = through(Bulks.begin)
    status = through(Bulks.status)
    all = through(Bulks.all)
    counted = through(Bulks.counted)
    confirm = through(Bulks.confirm)
    stop = through(Bulks.stop)
    wait = through(Bulks.wait)


def _count_changed(text: str, counted: int) -> CountChanged:
    error = CountChanged(text)
    error.counted = counted
    return error


def _within(action: BulkAction, filter: JobFilter) -> JobFilter:
    """The filter, for those states in which it can be done. Raises `ConfigurationError`."""
    given: object = filter
    if not isinstance(given, JobFilter):
        raise ConfigurationError(f"a filter is {shown(given, 60)}: give a JobFilter(...)")
    wrong = sorted(filter.states - action.states)
    if wrong:
        known = ", ".join(state for state in State if state in action.states)
        raise ConfigurationError(f"{action} cannot be done to jobs that are {wrong[0]}: of a filter for it state can be {known}")
    return replace(filter, state=sorted(filter.states or action.states))
