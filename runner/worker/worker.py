"""Worker: one process's share of the work. It enlists, runs its actors under a lease, and enlists again if the lease is lost."""

import asyncio
import json
import logging
import os
import platform
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from runner.client import Homes, Publication, Runner, hooks_of, schedules_of
from runner.clock import monotonic_s
from runner.connection import redis_url
from runner.errors import ConfigurationError, DamagedQueue, LeaseLost, NotPermitted, RunnerError, StoreUnavailable
from runner.foreign import indented, shown
from runner.log_throttle import LogThrottle
from runner.names import base_pool
from runner.store import JobStore, LeaseStore, Role, load_scripts, refuse_unfit_server
from runner.telemetry import WorkerCounts
from runner.traces import trace_of
from runner.worker.abandon import abandon
from runner.worker.actors import Actors
from runner.worker.appearance import details_of, served_by
from runner.worker.child_pool import children_of
from runner.worker.executor import Executor
from runner.worker.hook_calls import HookCalls
from runner.worker.lateness import lateness_of
from runner.worker.lifespan import Lifespan
from runner.worker.shared_limits import SharedLimits
from runner.worker.stall_watch import StallWatch
from runner.worker.uncut import uncut
from runner.worker.worker_state import WorkerState, state_of

log = logging.getLogger("runner")

_ENLIST_RETRY_S = 0.5
_REFUSED_RETRY_S = 2.0


class Worker:
    """Runs the jobs of one app until told to stop. Any number may run, in one process or on many machines."""

    def __init__(self, runner: Runner[Any]) -> None:
        given: object = runner
        if not isinstance(given, Runner):
            raise ConfigurationError(f"a Worker is given {shown(given, 80)}: give the Runner whose tasks it is to run")
        self.id = ""
        """Another one after each loss of the lease; empty before the first."""
        self._runner = runner
        self._settings = runner.settings
        self._url = redis_url(self._settings)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._working = asyncio.Event()
        self._stopped = asyncio.Event()
        self._is_enlisted = False
        self.counts: WorkerCounts | None = None
        """Set before `run`, what this worker does is counted here. None: nothing is counted."""
        self._actors: Actors | None = None
        self._watch: StallWatch | None = None
        self._rests = False
        self._refused = LogThrottle()
        self._outage = LogThrottle()

    @property
    def state(self) -> WorkerState:
        """How it is now."""
        return state_of(
            self._actors,
            self._settings,
            stalls=0 if self._watch is None else self._watch.stalls,
            is_working=self._working.is_set(),
            is_enlisted=self._is_enlisted,
            is_stopped=self._stopped.is_set(),
            is_stopping=self._stopping.is_set(),
            rests=self._rests,
        )

    async def wait_until_working(self) -> None:
        """Until it has enlisted and knows the leader."""
        await self._working.wait()

    async def wait_until_stopped(self) -> None:
        """Until `run` has ended."""
        await self._stopped.wait()

    def stop(self) -> None:
        """Drain: claim no more, let running jobs finish for `drain_s`, give back the rest. A second call gives them back at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. Outages of Redis do not end it, and after the loss of its lease it goes on under a new id.

        If it is cancelled, it gives its jobs back at once and signs off before it raises that: no failure and no crash is counted.
        """
        load_scripts()
        children = children_of(self._runner)
        store = JobStore(self._url, self._runner.queue, self._settings, has_processes=bool(children.tasks))
        if store.clock is not None:
            await self._rest(store)
            return
        lifespan, executor = Lifespan(self._runner), None
        self._watch = watch = StallWatch(self._settings.stall_s)
        watch.start()
        for name, task in self._runner.tasks.items():
            for fact in task.definition.calls.by_code_only:
                log.warning("task %s can be submitted by code only: %s", name, fact)
        try:
            if await self._examine(store) and await lifespan.enter(self._stopping):
                if self.counts is not None:
                    store.watch_calls(self.counts.on_loop.note)
                lateness = lateness_of(self._runner.limits.values())
                store.tells_times = self.counts is not None or lateness is not None
                await self._first_of(children.start())
                hooks = HookCalls(store.get, self._runner.tasks, hooks_of(self._runner))
                executor = Executor(self._runner.tasks, self._settings, self._runner.queue, hooks, children)
                executor.lateness = lateness
                executor.warns = any(limit.warn_at for limit in self._runner.limits.values())
                try:
                    await self._work(store, executor)
                finally:
                    await uncut(partial(hooks.close, at_once=self._hurry.is_set()))
        finally:
            try:
                if executor is not None:
                    await uncut(executor.values.close)
                await uncut(children.close)
            finally:
                await self._close(store, executor, watch, lifespan)

    async def _close(self, store: JobStore, executor: Executor | None, watch: StallWatch, lifespan: Lifespan) -> None:
        abandon([] if self._actors is None else self._actors.leftovers)
        watch.stop()
        if executor is not None:
            executor.close()
        try:
            await uncut(store.close)
        finally:
            try:
                await lifespan.leave()
            finally:
                self._stopped.set()

    async def _examine(self, store: JobStore) -> bool:
        """Wait for a server that can be used; False if the worker is to stop before. Raises `ConfigurationError` for one that cannot."""
        while not self._stopping.is_set():
            try:
                await refuse_unfit_server(store)
                return True
            except StoreUnavailable as error:
                await self._wait_for_redis(error)
        return False

    async def _rest(self, store: JobStore) -> None:
        """In the place of work, where the time stands still and a test runs the jobs itself."""
        log.info("this worker rests, as a test runs the jobs of queue %s", self._runner.queue)
        self._rests = True
        self._working.set()
        try:
            await self._stopping.wait()
        finally:
            self._stopped.set()
            await store.close()

    async def _work(self, store: JobStore, executor: Executor) -> None:
        publication = Publication(
            self._runner.tasks, self._runner.limits, schedules_of(self._runner), role=Role.worker, revision=self._runner.revision
        )
        while not self._stopping.is_set():
            try:
                if await self._enlist(store, publication):
                    await self._work_under_lease(store, executor)
            except StoreUnavailable as error:
                await self._wait_for_redis(error)
            except LeaseLost as error:
                if self._stopping.is_set():
                    log.warning("%s while it was stopping; others run its jobs", error)
                else:
                    log.error("%s; continuing under a new id", error)

    async def _wait_for_redis(self, error: StoreUnavailable) -> None:
        if self._outage.is_due(monotonic_s()):
            log.warning("starting waits for Redis: %s", error)
        await self._pause(_ENLIST_RETRY_S)

    async def _enlist(self, store: JobStore, publication: Publication) -> bool:
        """Whether this worker has a lease. If Redis refuses it for a reason of its own, that is tried again: the jobs are there."""
        self._is_enlisted = True  # also if the reply is lost
        self.id = f"{platform.node()[:32]}-{os.getpid()}-{secrets.token_hex(3)}"
        try:
            await self._appear(store, publication)
        except asyncio.CancelledError:
            await uncut(partial(self._vanish, store))
            raise
        except DamagedQueue as error:
            if self._refused.is_due(monotonic_s()):
                log.critical("this worker cannot start, and tries again until the queue is mended: %s", error)
            await self._pause(_REFUSED_RETRY_S)
            return False
        except RunnerError:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged record of the catalog, as it were
            if self._refused.is_due(monotonic_s()):
                log.critical("Redis refuses this worker, which is tried again:\n%s", indented(trace_of(error)))
            await self._pause(_REFUSED_RETRY_S)
            return False
        return True

    async def _appear(self, store: JobStore, publication: Publication) -> None:
        await publication.publish(store)
        await store.enlist(self.id, json.dumps(details_of(self._runner, store.pools_read)), served_by(self._runner, store.pools_read))
        try:
            while await store.unhold():
                pass
            if schedules_of(self._runner):
                await store.drowse()
        except NotPermitted:
            raise
        except Exception as error:  # noqa: BLE001 - else the leader does it
            log.info("jobs that no worker could run are left to the leader: %s", error)
        log.info("worker %s serves queue %s: %s", self.id, self._runner.queue, ", ".join(self._runner.tasks) or "no tasks")
        await self._warn_of_unread_pools(store)

    async def _warn_of_unread_pools(self, store: JobStore) -> None:
        """Of tasks of this app: the worker that reads their pool can come later, and their jobs wait for it."""
        pools = {task.definition.spec.pool for task in self._runner.tasks.values()} - set(store.pools_read)
        if not pools:
            return
        read = {pool for worker in await store.workers() for pool in worker.pools}
        for pool in sorted(pools - read):
            tasks = ", ".join(sorted(name for name, task in self._runner.tasks.items() if task.definition.spec.pool == pool))
            log.warning(
                "no live worker reads pool %s yet: jobs of %s wait until one does, started with --pool %s", pool, tasks, base_pool(pool)
            )

    async def _vanish(self, store: JobStore) -> None:
        """Sign off what may have enlisted."""
        with suppress(Exception):  # else its lease lapses
            await store.reconcile(self.id, (), leave=True)
            self._is_enlisted = False

    async def _work_under_lease(self, store: JobStore, executor: Executor) -> None:
        """Until the worker has stopped. Raises `LeaseLost`."""
        lease = LeaseStore(self._url, self._runner.queue, self._settings)
        self._actors = actors = Actors(store, lease, self.id, executor, self._actors, self.counts, self._watch)
        actors.provider_counts.homes = homes = Homes(self._url, self._settings)
        actors.refill_loop.shared_limits = SharedLimits(
            store,
            self._url,
            self._runner.limits,
            weight=self._runner.share,
            revision=self._runner.revision,
            counts=None if self.counts is None else self.counts.shared,
        )
        electing = asyncio.create_task(self._note_election(actors))
        try:
            await actors.run(self._stopping, self._hurry)
        finally:
            electing.cancel()
            self._is_enlisted = not actors.has_signed_off
            await homes.close()

    async def _note_election(self, actors: Actors) -> None:
        await actors.refill_loop.elected.wait()
        self._working.set()

    async def _first_of(self, start: Coroutine[Any, Any, None]) -> None:
        """Until that is done, or this worker is to stop. Raises what it raises."""
        starting, stopping = asyncio.ensure_future(start), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
