"""FinishListener: wait for jobs to end by listening to their announcements, never by asking again and again."""

import asyncio
from collections import defaultdict
from contextlib import aclosing

from runner.errors import StoreUnavailable
from runner.jobs import JobStatus
from runner.store import Jobs

_RECONNECT_S = 0.25


class FinishListener:
    """One subscription for all waiters of a client. It starts with the first waiter."""

    def __init__(self, store: Jobs) -> None:
        self._store = store
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, timeout_s: float | None) -> JobStatus | None:
        """The job once it is final, or as it is after `timeout_s`; None if it is unknown.

        Raises `StoreUnavailable`, and whatever keeps everybody from listening, such as a permission that is missing.
        """
        if timeout_s is not None and timeout_s <= 0:
            return (await self._store.get([job_id]))[0]
        if self._task is None or self._task.done():
            self._listening.clear()
            self._task = asyncio.create_task(self._listen(), name="finish-listener")
        listener, announced = self._task, asyncio.Event()
        self._waiters[job_id].add(announced)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._listening.wait()
                    if listener.done() and not listener.cancelled():
                        listener.result()  # raises what ended it: nobody would ever be told of anything
                    announced.clear()
                    # Watch first, then look: an end between the two is either announced or seen.
                    (status,) = await self._store.get([job_id], watch=True)
                    if status is None or status.state.is_final:
                        return status
                    await announced.wait()
        except TimeoutError:
            return (await self._store.get([job_id]))[0]
        finally:
            self._waiters[job_id].discard(announced)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._store.finished_jobs()) as finished:
                    async for job_id in finished:
                        self._announce(job_id)
            except StoreUnavailable:
                # Waiters go on to ask, and so learn at once that Redis is away.
                self._announce(None)
                await asyncio.sleep(_RECONNECT_S)
            except Exception:
                self._announce(None)
                raise

    def _announce(self, job_id: str | None) -> None:
        """Wake the waiters of one job; with None all of them, as anything may have been missed."""
        self._listening.set()
        waiting = self._waiters.values() if job_id is None else [self._waiters.get(job_id, set())]
        for events in waiting:
            for event in events:
                event.set()
