"""Ends: waits for many jobs at once. Their ids and one page of results are all that it holds."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

from runner.client.finish_listener import FinishListener
from runner.client.patience import Patience, give_up
from runner.errors import StoreUnavailable
from runner.jobs import JobStatus
from runner.store import MOST_SMALL, MOST_WATCHED, Heavy, Jobs

Ended = tuple[str, JobStatus | None]
"""A job at its end; None if it is unknown."""


class Ends:
    """The ends of jobs, page by page, in the order in which they are met. Close it.

    Each job is asked for once when it is added, and again when its end is announced: many in a call, one call at a time. The wait goes
    on while Redis is away. timeout_s: of the wait for all of them, from now on. Raises `InvalidOption`.
    """

    def __init__(self, store: Jobs, listener: FinishListener, timeout_s: float | None = None) -> None:
        self._store = store
        self._listener = listener
        self._patience = Patience(timeout_s)
        self._until_us = None if store.clock is None else store.clock.after(timeout_s)
        self._left: dict[str, None] = {}
        self._due: dict[str, None] = {}
        """Those of `_left` that are to be asked for."""
        self._large: dict[str, None] = {}
        """Those of `_left` that are at their end, and come one at a time."""
        self._news: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._is_whole = False
        listener.subscribe(self)

    @property
    def left(self) -> Sequence[str]:
        """The jobs that have not been told yet."""
        return list(self._left)

    def add(self, ids: Iterable[str]) -> None:
        """Wait for these jobs too."""
        for job_id in ids:
            self._left[job_id] = self._due[job_id] = None
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """No more are added; or no page comes any more, and who asks for one gets this error."""
        self._is_whole, self._error = True, error
        self._wake()

    def close(self) -> None:
        """Wait for nothing any longer."""
        self._listener.unsubscribe(self)

    def announce(self, job_id: str | None) -> None:
        """A job has ended; with None any of them may have."""
        if job_id is None:
            self._due.update(self._left)
        elif job_id in self._left:
            self._due[job_id] = None
        else:
            return
        self._wake()

    async def page(self) -> list[Ended]:
        """The next jobs that have ended, one at least; none once all have been told.

        Raises TimeoutError (`StillUnavailable` if Redis is away then), `ClientClosed`, and any error that ends the subscription.
        """
        while True:
            if self._error is not None:
                raise self._error
            if not (self._due or self._large):
                if self._is_whole and not self._left:
                    return []
                await self._until_news()
                continue
            # Without it an end might be announced to nobody, after the job was looked at. When time is over there is one more look.
            await self._listener.heard(None if self._until_us is not None else self._patience.left_s)
            asked = list(islice(self._due, MOST_WATCHED))
            try:
                found = await (self._look(asked) if asked else self._one_large())
            except StoreUnavailable as error:
                self._due.update(dict.fromkeys(asked))
                await self._patience.after(error, self._what)
                continue
            if found:
                return found

    async def _look(self, asked: Sequence[str]) -> list[Ended]:
        for job_id in asked:
            del self._due[job_id]  # before the call: what is announced meanwhile is asked for again
        ended: list[Ended] = []
        for job_id, status in zip(asked, await self._store.watch(asked), strict=True):
            if isinstance(status, Heavy):
                # A small one was too much beside those before it, or one of too many that are at their end.
                (self._large if status.bytes > MOST_SMALL else self._due)[job_id] = None
            elif status is None or status.state.is_final:
                ended.append(self._told(job_id, status))
        return ended

    async def _one_large(self) -> list[Ended]:
        job_id = next(iter(self._large))
        status = await self._store.get_heavy(job_id)
        del self._large[job_id]
        if status is not None and not status.state.is_final:  # it has been run again since
            self._due[job_id] = None
            return []
        return [self._told(job_id, status)]

    def _told(self, job_id: str, status: JobStatus | None) -> Ended:
        for jobs in (self._left, self._due, self._large):
            jobs.pop(job_id, None)
        return job_id, status

    @property
    def _what(self) -> str:
        return f"the wait for {len(self._left)} jobs"

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _until_news(self) -> None:
        """Until something is to be asked for, or the last was told. Raises TimeoutError, `ClientClosed`."""
        self._listener.check_open()
        self._news = asyncio.get_running_loop().create_future()
        clock = self._store.clock
        if clock is None:
            await asyncio.wait({self._news}, timeout=self._patience.left_s)
        else:
            await clock.wait(self.left, self._news, self._until_us)
        self._listener.check_open()
        if not self._news.done():
            if self._listener.away is not None:
                give_up(self._what, self._listener.away)
            raise TimeoutError(f"{self._what}: they have not ended when its time is over")
