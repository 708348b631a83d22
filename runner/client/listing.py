"""Listing: the verbs of a client about many jobs: pages of a list, counts and groups, within what its caller may see."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from runner.client.blocking import Blocking, through
from runner.client.cursors import opened, sealed
from runner.client.session import Session
from runner.client.view import EVERYTHING, View
from runner.clock import monotonic_s
from runner.errors import UnknownJob
from runner.jobs import EVERY_JOB, DeadLetterGroup, JobCounts, JobFilter, JobPage, JobStatus, State, question_of
from runner.ranges import checked_whole
from runner.store import Depth, JobStore

_LOOKS_S = 0.05
"""How long one page is looked for: where few jobs match, the page is returned as it is then, with its cursor."""
_WALKS_S = 5.0
"""How long is counted what no structure counts."""


class Listing:
    """A part of `Client`."""

    _view: View = EVERYTHING

    @property
    def _session(self) -> Session:
        raise NotImplementedError

    async def jobs(self, filter: JobFilter | None = None, *, cursor: str | None = None, most: int = 100) -> JobPage:
        """The jobs that a filter asks for, a page at a time: `most` at most, from the cursor of the page before on.

        Raises `ConfigurationError` for a cursor that this question was not answered with, and for an impossible size.
        """
        return await _page_of(self._session.store, self._view, filter or EVERY_JOB, cursor, most)

    async def job_counts(self, filter: JobFilter | None = None) -> JobCounts:
        """How many jobs there are, by state. Of all jobs exact and at once, however many, those that succeeded in the last 24 hours.

        Those of a filter are looked at, for some seconds at most.
        """
        return await _counts_of(self._session.store, self._view, filter)

    async def dead_letters(self, filter: JobFilter | None = None) -> list[DeadLetterGroup]:
        """Jobs that failed, by task and type of error, those with the most first. Looks at all of them, in short calls."""
        return await _groups_of(self._session.store, self._view, filter)


class BlockingListing(Blocking):
    """The same for code without an event loop."""

    __slots__ = ()

    jobs = through(Listing.jobs)
    job_counts = through(Listing.job_counts)
    dead_letters = through(Listing.dead_letters)


async def _page_of(store: JobStore, view: View, filter: JobFilter, cursor: str | None, most: int) -> JobPage:
    """The next jobs. Raises `ConfigurationError` for a cursor or a size that cannot be used."""
    checked_whole("jobs of a page", most, of="a list of jobs")
    question, place = question_of(filter, view.within), b""
    if cursor is not None:
        place = opened(cursor, question, await store.cursor_secret())
    ids: dict[str, None] = {}
    until_s = monotonic_s() + _LOOKS_S
    while True:
        selected = await store.select(question, place, found=most - len(ids))
        ids.update(dict.fromkeys(selected.ids))
        place = selected.cursor
        if not place or len(ids) >= most or monotonic_s() > until_s:
            break
    found = await store.get(list(ids), Depth.listed)
    jobs = tuple(status for status in _seen(view, found) if _is_meant(status, filter.states))
    return JobPage(jobs, sealed(place, question, await store.cursor_secret()) if place else None)


def _is_meant(status: JobStatus, states: frozenset[State]) -> bool:
    """Whether it has not moved since it was found. A job on a stream waits while the queue, or its pool, is paused."""
    return not states or status.state in states or (status.state is State.waiting and State.queued in states)


def _seen(view: View, found: Iterable[JobStatus | None]) -> Iterable[JobStatus]:
    for status in found:
        if status is not None:
            try:
                yield view.seen(status)
            except UnknownJob:
                continue


async def _counts_of(store: JobStore, view: View, filter: JobFilter | None) -> JobCounts:
    """How many there are. Of all jobs at once; of those that a filter or the caller's rights choose by a walk."""
    chosen = filter or EVERY_JOB
    if chosen == EVERY_JOB and view.sees_all:
        counts, (ended, _) = await store.counts(), await store.ended_in_a_day()
        return replace(counts, succeeded=ended["succeeded"])
    numbers: dict[str, Any] = {"succeeded": 0}
    until_s = monotonic_s() + _WALKS_S
    states = chosen.states or frozenset(State)
    is_complete = True
    for state in sorted(states):
        question, place = question_of(replace(chosen, state=state.value), view.within), b""
        while True:
            selected = await store.select(question, place)
            numbers[state.value] = numbers.get(state.value, 0) + len(selected.ids)
            place = selected.cursor
            if not place:
                break
            if monotonic_s() > until_s:
                is_complete = False
                break
    return JobCounts(**numbers, is_complete=is_complete)


async def _groups_of(store: JobStore, view: View, filter: JobFilter | None) -> list[DeadLetterGroup]:
    """Dead letters by task and type of error, those with the most first."""
    question, place = question_of(replace(filter or EVERY_JOB, state="failed"), view.within), b""
    groups: dict[tuple[str, str], DeadLetterGroup] = {}
    while True:
        page = await store.groups(question, place)
        for one in page.groups:
            known = groups.get((one.task, one.error))
            groups[one.task, one.error] = one if known is None else _joined(known, one)
        place = page.cursor
        if not place:
            break
    told = [replace(one, last_id=view.shown(one.last_id)) for one in groups.values()]
    return sorted(told, key=lambda one: (-one.count, one.task, one.error))


def _joined(one: DeadLetterGroup, other: DeadLetterGroup) -> DeadLetterGroup:
    latest = max(one, other, key=lambda each: each.last_at)
    return replace(latest, count=one.count + other.count, first_at=min(one.first_at, other.first_at))
