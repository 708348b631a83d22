"""Ticker: what the leader does about schedules that are due. It keeps nothing: what it reads, works out and writes is fenced by the script."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import TypeVar

from runner.client import PublishedTask, TasksAsRead
from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import RunnerError, StoreFull
from runner.foreign import text_of
from runner.jobs import JobOptions, ScheduleSpec, Submission, made_by_schedule, plan
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.names import first_of
from runner.store import DueSchedule, Fired, Firing, Schedules
from runner.telemetry import recorder_here

log = logging.getLogger("runner")

T = TypeVar("T")
_NO_ROOM_S = 1.0
_AGAIN_S = 60.0
_MOST_NAMED = 5
_MOST_BYTES = 4_000_000

Compute = Callable[[Callable[[], T]], Awaitable[T]]


async def in_thread(compute: Callable[[], T]) -> T:
    """Beside the event loop: thousands of instants can have passed."""
    return await asyncio.to_thread(compute)


async def at_once(compute: Callable[[], T]) -> T:
    """Where nothing may wait."""
    return compute()


class Ticker:
    """Fires the schedules of a queue. Any number may do so at the same time."""

    def __init__(self, store: Schedules, *, compute: Compute[list[Firing]] = in_thread) -> None:
        self._store = store
        self._compute = compute
        self._tasks = TasksAsRead(store)
        self._passed = 0
        self._full = LogThrottle(A_MINUTE_S)

    async def tick(self, late_us: int = 0) -> float:
        """Fire what is due, or so late; the seconds until the next schedule is due, infinite if none is. Raises `StoreUnavailable`."""
        now_us, next_us, due = await self._store.due(late_us)
        if not due:
            return float("inf") if next_us < 0 else next_us / MICROSECONDS
        specs = [one.entry.spec for one in due]
        tasks = await self._tasks.all_of(spec.task for spec in specs if spec is not None)
        firings = await self._compute(partial(_firings, due, tasks, now_us))
        try:
            fired = await self._fire(firings)
        except StoreFull as error:
            self._tell_full(error)
            return _NO_ROOM_S
        self._tell(firings, fired)
        # Those that were fired here are due later; whether others are, the next look shows.
        return _NO_ROOM_S if all(one.answer == "full" for one in fired) else 0.0

    async def _fire(self, firings: list[Firing]) -> list[Fired]:
        jobs = [job for firing in firings for _, job in firing.runs if job is not None]
        if not jobs or (recorder := recorder_here()) is None:
            return await self._store.fire(firings)
        with recorder.sending(self._store.keys.queue, jobs, by="fire") as traced:
            ready = iter(traced)
            runs = [[(instant, None if job is None else next(ready)) for instant, job in firing.runs] for firing in firings]
            return await self._store.fire([firing._replace(runs=own) for firing, own in zip(firings, runs, strict=True)])

    async def drowse(self) -> float:
        """Look after dormant schedules. Seconds until the next look."""
        self._passed, removed = await self._store.drowse(self._passed)
        if removed:
            log.warning("removed %d schedules that no worker has declared for 7 days: %s", len(removed), first_of(removed, _MOST_NAMED))
        return 0.0 if self._passed else _AGAIN_S

    def _tell(self, firings: Sequence[Firing], fired: Sequence[Fired]) -> None:
        """Say which instants were not made."""
        for firing, came_to in zip(firings, fired, strict=True):
            if came_to.answer not in ("fired", "full"):
                continue
            if firing.missed:
                log.warning("schedule %s: %d instants were missed, as nobody fired them in time", firing.due.name, firing.missed)
            if came_to.refused:
                log.warning(
                    "schedule %s: %d runs were refused: %s", firing.due.name, came_to.refused, firing.refusal or "their ids are taken"
                )
        if full := [firing.due.name for firing, came_to in zip(firings, fired, strict=True) if came_to.answer == "full"]:
            self._tell_full(f"max_backlog is reached: {first_of(full, _MOST_NAMED)}")

    def _tell_full(self, why: object) -> None:
        if self._full.is_due(monotonic_s()):
            log.warning("schedules wait for room for their jobs: %s", why)


def _firings(due: Sequence[DueSchedule], tasks: Mapping[str, PublishedTask | RunnerError], now_us: int) -> list[Firing]:
    return [_firing(one, tasks, now_us) for one in due]


def _firing(due: DueSchedule, tasks: Mapping[str, PublishedTask | RunnerError], now_us: int) -> Firing:
    """What is to be done about one."""
    spec = due.entry.spec
    if spec is None:
        return Firing(due, [], None, None, 0, None, due.entry.fault or "")
    instants = [] if due.pending_us is None else [due.pending_us]
    missed, last_us, following_us = 0, None, due.nominal_us
    if due.nominal_us is not None and spec.due_us(due.nominal_us) <= now_us:
        planned = plan(spec, due.nominal_us, now_us, due.anchor_us)
        instants += planned.runs
        missed, last_us, following_us = planned.missed, planned.last, planned.following
    due_us = None if following_us is None else spec.due_us(following_us)
    runs: list[tuple[int, Submission | None]]
    try:
        runs, refusal = [(instant, _job(spec, instant, tasks[spec.task])) for instant in instants], ""
    except Exception as error:  # noqa: BLE001 - of a task whose entry in the catalog was damaged, as it were
        runs, refusal = [(instant, None) for instant in instants], f"{type(error).__name__}: {text_of(error, 250)}"
    firing = Firing(due, runs, following_us, due_us, missed, last_us, refusal)
    return _cut(firing) if len(runs) > 1 and not refusal else firing


def _cut(firing: Firing) -> Firing:
    """As many of its runs as one call carries, if their arguments are large; the others are due at once."""
    sizes = accumulate(len(job.args) for _, job in firing.runs if job is not None)
    most = max(sum(size <= _MOST_BYTES for size in sizes), 1)
    if most >= len(firing.runs):
        return firing
    kept, (left_us, _) = firing.runs[:most], firing.runs[most]
    return firing._replace(runs=kept, nominal_us=left_us, due_us=left_us, last_us=kept[-1][0])


def _job(spec: ScheduleSpec, instant_us: int, task: PublishedTask | RunnerError) -> Submission:
    if isinstance(task, RunnerError):
        raise task
    options = JobOptions(id=spec.job_id(instant_us), **spec.options)
    return made_by_schedule(task.prepare(spec.args, options), spec.name)
