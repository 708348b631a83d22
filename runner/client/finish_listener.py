"""FinishListener: waits for jobs to end by listening to what their workers announce, without polling."""

import asyncio
import logging
from contextlib import aclosing, suppress
from contextvars import Context
from typing import Any, Protocol

from runner.client.lookups import Lookups
from runner.client.patience import RETRY_S, Patience, give_up, passes
from runner.clock import monotonic_s
from runner.errors import ClientClosed, StoreUnavailable
from runner.jobs import JobStatus
from runner.log_throttle import LogThrottle
from runner.store import Heavy, Jobs

log = logging.getLogger("runner")

_WARN_EVERY_S = 60.0


class _Watch:
    """One job, for all who wait for its end. `task` ends with the job at its end, or its size then; None if it is unknown."""

    __slots__ = ("announced", "asked", "is_asking", "is_given", "task", "waiters")

    def __init__(self) -> None:
        self.announced = asyncio.Event()
        self.asked = 0
        """How often Redis was asked for the job."""
        self.is_asking = False
        self.is_given = False
        self.waiters = 0
        self.task: asyncio.Task[JobStatus | Heavy | None]


class Subscriber(Protocol):
    """Who waits for many jobs."""

    def announce(self, job_id: str | None) -> None:
        """A job has ended, perhaps another one's; with None any may have."""


class FinishListener:
    """One subscription for all waiters of a session, and one watch for each job. The first waiter starts them, in no context of its own.

    A wait goes on while Redis is away: who waits learns of it when the time of the wait is over.
    """

    def __init__(self, store: Jobs, lookups: Lookups) -> None:
        self._store = store
        self._lookups = lookups
        self._watches: dict[str, _Watch] = {}
        self._subscribers: list[Subscriber] = []
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.away: StoreUnavailable | None = None
        """Why Redis could not be asked when it last was; None if it could."""
        self._outage = LogThrottle(_WARN_EVERY_S)
        self._is_closed = False

    async def wait(self, job_id: str, timeout_s: float | None, most_result: int | None = None) -> JobStatus | None:
        """The job once it is final, or as it is after `timeout_s`; None if it is unknown. A larger result than `most_result` is left out.

        Raises `StillUnavailable` if Redis is away then, `ClientClosed`, and any error that ends the subscription, such as a permission that
        is missing.
        """
        self.check_open()
        if timeout_s is not None and timeout_s <= 0:
            return await self._lookups.status(job_id, most_result)
        patience, clock = Patience(timeout_s), self._store.clock
        until_us = None if clock is None else clock.after(timeout_s)
        while True:
            watch = self._watched(job_id)
            # An answer on its way may be older than this call, and a job that had ended may have been run again.
            older = watch.asked if watch.is_asking else 0
            watch.waiters += 1
            try:
                if clock is None:
                    await asyncio.wait({watch.task}, timeout=patience.left_s)
                else:
                    await clock.wait([job_id], watch.task, until_us)
            finally:
                watch.waiters -= 1
                if not watch.waiters:
                    self._forget(job_id, watch)
            self.check_open()
            if not watch.task.done() or watch.task.cancelled():
                return await self._last_look(job_id, most_result)
            found = watch.task.result()
            if watch.asked == older:
                continue
            try:
                status = await self._lookups.whole(job_id, await self._given(watch, found), most_result)
            except StoreUnavailable as error:
                await self._wait_for_redis(error)
                continue
            if status is None or status.state.is_final:  # else it has been run again since
                return status

    async def close(self) -> None:
        """Stop listening, for good: those who wait get a `ClientClosed`."""
        self._is_closed = True
        tasks: list[asyncio.Task[Any]] = [watch.task for watch in self._watches.values()]
        if self._task is not None:
            tasks.append(self._task)
            self._task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._announce(None)

    def check_open(self) -> None:
        """Raises `ClientClosed`."""
        if self._is_closed:
            raise ClientClosed("the client was closed while a call waited for the end of a job or for its turn in line")

    async def _last_look(self, job_id: str, most_result: int | None) -> JobStatus | None:
        """The job when the time of a wait is over."""
        what = f"the wait for job {job_id}"
        if self.away is not None:
            give_up(what, self.away)
        try:
            return await self._lookups.status(job_id, most_result)
        except StoreUnavailable as error:
            if passes(error):
                give_up(what, error)
            raise

    # Many jobs

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell of every end from now on. It was `heard` before the job was looked at, or may be missed."""
        self.check_open()
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell of none any more."""
        self._subscribers.remove(subscriber)

    async def heard(self, timeout_s: float | None) -> None:
        """Once ends are heard of, or when the time is over. Raises `ClientClosed`, and what ended the subscription."""
        self.check_open()
        task = self._started()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._listening.wait()
        self.check_open()
        if task.done() and not task.cancelled():
            task.result()

    # One job

    def _watched(self, job_id: str) -> _Watch:
        """The watch of this job, that of others who wait for it or another one."""
        listener = self._started()
        watch = self._watches.get(job_id)
        if watch is None or watch.task.done():
            watch = self._watches[job_id] = _Watch()
            watch.task = asyncio.create_task(self._follow(job_id, watch, listener), name=f"end of {job_id}", context=Context())
            watch.task.add_done_callback(_retrieve)
        return watch

    def _forget(self, job_id: str, watch: _Watch) -> None:
        """Nobody waits for the job any more."""
        watch.task.cancel()
        if self._watches.get(job_id) is watch:
            del self._watches[job_id]

    async def _given(self, watch: _Watch, found: JobStatus | Heavy | None) -> JobStatus | Heavy | None:
        """The job for one of its waiters: each has its own, as it may change what it gets."""
        if watch.is_given and isinstance(found, JobStatus):
            return await self._lookups.copies.of(found)
        watch.is_given = True
        return found

    async def _follow(self, job_id: str, watch: _Watch, listener: asyncio.Task[None]) -> JobStatus | Heavy | None:
        while True:
            await self._listening.wait()
            if listener.done() and not listener.cancelled():
                listener.result()  # raises what ended the subscription: no announcement would ever come
            watch.announced.clear()
            watch.asked, watch.is_asking = watch.asked + 1, True
            try:
                # One script marks the job as watched and reads its state: an end before it is seen, one after it announced.
                status = await self._lookups.end(job_id)
            except StoreUnavailable as error:
                watch.is_asking = False
                await self._wait_for_redis(error)
                continue
            self.away = None
            if status is None or isinstance(status, Heavy) or status.state.is_final:
                return status
            watch.is_asking = False
            await watch.announced.wait()

    # All jobs

    def _started(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._listening.clear()
            self._task = asyncio.create_task(self._listen(), name="finish-listener", context=Context())
        return self._task

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._store.finished_jobs()) as finished:
                    async for job_id in finished:
                        self._announce(job_id)
            except StoreUnavailable as error:
                if not passes(error):
                    self._announce(None)
                    raise
                self._listening.clear()
                self._note_outage(error)
                await asyncio.sleep(RETRY_S)
            except Exception:
                self._announce(None)
                raise

    def _announce(self, job_id: str | None) -> None:
        """Wake the watch of one job; with None all of them, as their announcement may have been missed."""
        if not self._listening.is_set():
            self._listening.set()
            self.away = None
            self._outage.is_over()
        for watch in self._watches.values() if job_id is None else filter(None, [self._watches.get(job_id)]):
            watch.announced.set()
        for subscriber in self._subscribers:
            subscriber.announce(job_id)

    async def _wait_for_redis(self, error: StoreUnavailable) -> None:
        """Return when it may be asked again. Raises an error that no wait makes good."""
        if not passes(error):
            raise error
        self._note_outage(error)
        await asyncio.sleep(RETRY_S)

    def _note_outage(self, error: StoreUnavailable) -> None:
        self.away = error
        if self._watches and self._outage.is_due(monotonic_s()):
            log.warning("%d jobs are waited for until Redis is back: %s", len(self._watches), error)


def _retrieve(task: "asyncio.Task[JobStatus | Heavy | None]") -> None:
    """All who waited may have left before it ended; asyncio would log its error otherwise."""
    if not task.cancelled():
        task.exception()
