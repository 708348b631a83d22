"""FinishListener: waits for jobs to end by listening to what their workers announce, without polling."""

import asyncio
from collections import defaultdict
from contextlib import aclosing

from runner.errors import StoreUnavailable
from runner.jobs import JobStatus
from runner.store import Jobs

_RECONNECT_S = 0.25


class FinishListener:
    """One subscription for all waiters of a session. The first waiter starts it."""

    def __init__(self, store: Jobs) -> None:
        self._store = store
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, timeout_s: float | None) -> JobStatus | None:
        """The job once it is final, or as it is after `timeout_s`; None if it is unknown.

        Raises `StoreUnavailable`, and any error that ends the subscription, such as a permission that is missing.
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
                        listener.result()  # raises what ended the subscription: no announcement would ever come
                    announced.clear()
                    # One script marks the job as watched and reads its status: an end before it is seen, one after it announced.
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
                # Waiters ask for their job's status then, and so learn at once that Redis is away.
                self._announce(None)
                await asyncio.sleep(_RECONNECT_S)
            except Exception:
                self._announce(None)
                raise

    def _announce(self, job_id: str | None) -> None:
        """Wake the waiters of one job; with None all of them, as their announcement may have been missed."""
        self._listening.set()
        waiting = self._waiters.values() if job_id is None else [self._waiters.get(job_id, set())]
        for events in waiting:
            for event in events:
                event.set()
