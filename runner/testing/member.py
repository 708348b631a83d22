"""Member: one worker of a `TestQueue`: the real attempts, executor and completer, without lease, streams to wait on, and timers."""

import asyncio
import json
import secrets
from collections import Counter, deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, NamedTuple

from runner.client import Runner, hooks_of
from runner.jobs import Attempt, Outcome, Priority, StartedJob, Ties
from runner.store import MOST_PER_CALL, ClaimRequest, Claims, Declined, DirectStore, Look, done
from runner.worker import ActiveJobs, Attempts, Completer, Executor, HookCalls, Parents, PriorityShares, details_of, served_by


class Start(NamedTuple):
    """One start of a job: `at` is in seconds of the queue's time, arguments are as they were sent."""

    job: str
    task: str
    arguments: dict[str, Any]
    at: float
    attempt: int
    worker: str


class Member:
    """It does what it is asked to at the instant that its store's clock shows. Its attempts begin in `context`.

    `losing`: how often each job is to lose its worker; this one has died once `lost` is not empty.
    """

    def __init__(
        self,
        runner: Runner[Any],
        context: Context,
        store: DirectStore,
        losing: Counter[str],
        on_start: Callable[["Member", StartedJob], None],
    ) -> None:
        self.id = f"test-{secrets.token_hex(4)}"
        self.runner = runner
        self.context = context
        self.lost: list[str] = []
        self._store = store
        self._losing = losing
        self._on_start = on_start
        self._hooks = HookCalls(store.get, runner.tasks, hooks_of(runner))
        # Within the context: what is per worker is made there, and so has the state of the app.
        self._executor = context.copy().run(Executor, runner.tasks, store.settings, runner.queue, self._hooks)
        self._reports: deque[Attempt] = deque()
        self._executor.ties = Ties(self._reports.append)
        self._active_jobs = ActiveJobs(runner.settings.concurrency)
        self._completer = _Completer(store, self.id, self._active_jobs, self._executor, self._is_lost)
        self._attempts = Attempts(self._executor, self._active_jobs, self._completer, store.settings)
        self._priority_shares = PriorityShares(store.settings.least_share)
        self._delivering: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Enlist, inside the event loop that runs the handlers."""
        self._executor.ties = self._executor.ties._replace(parents=Parents(self._store))
        done(
            self._store.enlist(
                self.id, json.dumps(details_of(self.runner, self._store.pools_read)), served_by(self.runner, self._store.pools_read)
            )
        )
        self.hear_ends(announce=True)
        self._delivering = asyncio.create_task(self._completer.run(), name="outcomes of a test", context=self.context.copy())

    async def close(self) -> None:
        """Cancel what runs; hooks that were called have their time."""
        tasks = self._active_jobs.tasks
        self._active_jobs.cancel_all()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        await self._hooks.close(at_once=False)
        await self._executor.values.close()
        self._executor.close()

    def hear_ends(self, *, announce: bool = False) -> None:
        """Tell hooks of jobs that no attempt has ended, and announce that they want to know if that may be forgotten."""
        if tasks := self._hooks.tasks_with_ends:
            self.context.copy().run(self._hooks.ended_otherwise, done(self._store.take_ends(tasks, announce=announce)))

    def hear_of_budgets(self) -> None:
        """Tell hooks which budgets are nearly spent, once: what a hook raises is an error in the log."""
        if self._hooks.hears_of_budgets and (taken := done(self._store.warnings(has_hooks=True))):
            done(self._store.warnings(has_hooks=True, told=taken, most=0))
            self.context.copy().run(self._hooks.budgets, taken)

    def claim(self) -> int:
        """Start what is ready, as far as there are slots; how many."""
        started = 0
        while (free := min(self._active_jobs.free, MOST_PER_CALL)) > 0 and not self.lost:
            alone = not self._active_jobs.running
            request = ClaimRequest(free, (), self._owed, Look.no, read_more=True, alone=alone, unserved=self._attempts.unserved)
            claimed = done(self._store.claim(self.id, request))
            self._priority_shares.started(claimed.jobs)
            for job in claimed.jobs:
                self._on_start(self, job)
                self.context.copy().run(self._attempts.start, job)
            declined = [Declined(held) for held in claimed.unserved]
            if claimed.suspect is not None:
                declined.append(Declined(claimed.suspect))
            if declined:
                done(self._store.decline(self.id, declined))
            started += len(claimed.jobs)
            if len(claimed.jobs) < free:
                break  # what there is beside is claimed with the next look
        return started

    def tell_progress(self) -> int:
        """Send what handlers have said of their progress; of how many attempts."""
        attempts = [self._reports.popleft() for _ in range(len(self._reports))]
        if attempts:
            done(self._store.progress(self.id, [(each.job.id, each.job.attempt, each.take_progress()) for each in attempts]))
        return len(attempts)

    @property
    def _owed(self) -> tuple[int, int]:
        return self._priority_shares.owed(Priority.normal), self._priority_shares.owed(Priority.low)

    @property
    def running(self) -> list[StartedJob]:
        """The jobs whose attempts go on."""
        return [job for job in self._active_jobs.unrecorded if job.id not in self.lost]

    @property
    def is_busy(self) -> bool:
        """Whether an attempt goes on, its outcome is on its way, or hooks are told of it."""
        return self._active_jobs.running > 0 or self._completer.undelivered > 0 or self._hooks.is_telling

    @property
    def is_telling(self) -> bool:
        """Whether hooks are being told something."""
        return self._hooks.is_telling

    @property
    def delivered(self) -> int:
        """How many outcomes Redis has accepted."""
        return self._completer.counts.total()

    def renew(self, lease_s: float) -> None:
        """Hold the lease for so long from now on, and stop the attempts whose jobs were cancelled."""
        self._active_jobs.cancel(done(self._store.renew(self.id, lease_s)))

    def _is_lost(self, outcome: Outcome) -> bool:
        if not self._losing[outcome.job.id]:
            return False
        self._losing[outcome.job.id] -= 1
        self.lost.append(outcome.job.id)
        return True


class _Completer(Completer):
    """Delivers outcomes, except those that are lost with their worker."""

    def __init__(self, store: Claims, worker: str, active_jobs: ActiveJobs, executor: Executor, is_lost: Callable[[Outcome], bool]) -> None:
        super().__init__(store, worker, active_jobs, executor.accepted)
        self._is_lost = is_lost

    def record(self, outcome: Outcome) -> None:
        """The same, unless the worker dies before."""
        if not self._is_lost(outcome):
            super().record(outcome)
