"""Lookups: how the callers of one session learn of jobs. One question a job, however many ask; many jobs a call; large ones beside them."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

from runner.client.batcher import Batcher
from runner.client.copies import Copies, Shared
from runner.jobs import JobStatus
from runner.store import MOST_STATUSES, Depth, Heavy, Jobs

Asked = TypeVar("Asked", bound=Hashable)
Found = TypeVar("Found", JobStatus | None, JobStatus | Heavy | None)

MOST_WATCHED = 50
"""Jobs in one call that asks for their end: with a kilobyte of result each they are as much as goes over any connection."""


class Lookups:
    """What is asked for at the same time goes together. A question that comes later is asked later, so its answer is not older than it."""

    def __init__(self, store: Jobs) -> None:
        self._store = store
        self.copies = Copies()
        self._statuses = Batcher(self._status_each, fitting=lambda ids: _count_of(ids, MOST_STATUSES))
        self._ends = Batcher(self._end_each, fitting=lambda ids: _count_of(ids, MOST_WATCHED))
        self._places = Batcher(self._place_each, fitting=lambda ids: _count_of(ids, MOST_STATUSES))
        self._heavy = Batcher(self._heavy_each, fitting=lambda ids: _count_of(ids, 1))

    async def status(self, job_id: str, most_result: int | None = None) -> JobStatus | None:
        """The job as it is now, None if it is unknown; a larger result than `most_result` bytes is left out. Raises `StoreUnavailable`."""
        return await self.whole(job_id, await self._own(await self._statuses.ask(job_id)), most_result)

    async def end(self, job_id: str) -> JobStatus | Heavy | None:
        """The job, if it is at its end, or its size; of one that goes on the state alone, and its end will be announced.

        Raises `StoreUnavailable`.
        """
        return await self._own(await self._ends.ask(job_id))

    async def whole(self, job_id: str, found: JobStatus | Heavy | None, most_result: int | None) -> JobStatus | None:
        """What was found, or the job of which only the size was; without a larger result than `most_result`. Raises `StoreUnavailable`."""
        if isinstance(found, Heavy):
            return await self._own(await self._heavy.ask((job_id, most_result)))
        if found is None or most_result is None or (found.result_bytes or 0) <= most_result:
            return found
        return replace(found, result=None)

    async def place(self, job_id: str) -> JobStatus | None:
        """The job as it is now, without what it carries; None if it is unknown. Raises `StoreUnavailable`."""
        found = await self._own(await self._places.ask(job_id))
        assert not isinstance(found, Heavy), "what is not read is not large"
        return found

    async def close(self) -> None:
        """Wait for the calls that are under way."""
        for batcher in (self._statuses, self._ends, self._places, self._heavy):
            await batcher.close()

    async def _own(self, found: Found | Shared) -> Found | JobStatus:
        return await self.copies.of(found.status) if isinstance(found, Shared) else found

    async def _status_each(self, ids: Sequence[str]) -> list[JobStatus | Heavy | Shared | None]:
        once = list(dict.fromkeys(ids))
        return _for_each(ids, once, await self._store.get_light(once))

    async def _end_each(self, ids: Sequence[str]) -> list[JobStatus | Heavy | Shared | None]:
        once = list(dict.fromkeys(ids))
        return _for_each(ids, once, await self._store.watch(once))

    async def _place_each(self, ids: Sequence[str]) -> list[JobStatus | Heavy | Shared | None]:
        once = list(dict.fromkeys(ids))
        return _for_each(ids, once, await self._store.get_light(once, Depth.state))

    async def _heavy_each(self, asked: Sequence[tuple[str, int | None]]) -> list[JobStatus | Shared | None]:
        return _for_each(asked, asked[:1], [await self._store.get_heavy(*asked[0])])


def _count_of(ids: Sequence[Hashable], most: int) -> int:
    """How many of these questions, from the first on, ask for so many jobs at most."""
    met: set[Hashable] = set()
    for count, job_id in enumerate(ids):
        met.add(job_id)
        if len(met) > most:
            return count
    return len(ids)


def _for_each(ids: Sequence[Asked], once: Sequence[Asked], found: Sequence[Found]) -> list[Found | Shared]:
    """What was found of each id, for every question with that id."""
    by_id = dict(zip(once, found, strict=True))
    if len(once) == len(ids):
        return list(found)
    given: set[Asked] = set()
    answers: list[Found | Shared] = []
    for job_id in ids:
        one = by_id[job_id]
        answers.append(Shared(one) if isinstance(one, JobStatus) and job_id in given else one)
        given.add(job_id)
    return answers
