"""ActiveJobs: a worker's slots, its running attempts, and the outcomes Redis has not confirmed."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

from runner.jobs import StartedJob

Place = tuple[int, bytes, int]
"""Which attempt it is: number of the stream, entry id and attempt number. Entries of two streams can have the same id, and Redis delivers an entry
again after its group was recreated."""


class ActiveJob:
    """One attempt, until it has ended and Redis has confirmed its outcome.

    `takes_slot`: not one that runs in a child. `was_asked_to_stop`: a caller has cancelled the job. If an attempt is cancelled without it, the worker gives the job back.
    """

    __slots__ = (
        *("_is_worker_cancelled", "_was_stopped", "is_confirmed", "is_recorded", "is_running"),
        *("job", "takes_slot", "task", "was_asked_to_stop"),
    )

    task: asyncio.Task[None]

    def __init__(self, job: StartedJob, is_worker_cancelled: Callable[[], bool], *, takes_slot: bool) -> None:
        self.job = job
        self.takes_slot = takes_slot
        self._is_worker_cancelled = is_worker_cancelled
        self.is_running = True
        self.is_recorded = False
        self.is_confirmed = False
        self.was_asked_to_stop = False
        self._was_stopped = False

    def was_stopped(self) -> bool:
        """Whether its worker has cancelled it, or was cancelled with it; any other cancellation is its handler's own doing."""
        return self._was_stopped or self._is_worker_cancelled()

    def stop(self) -> None:
        """Cancel the task in the next turn of the loop: cancelled before its first step, it would never reach its `finally`."""
        self._was_stopped = True
        asyncio.get_running_loop().call_soon(self.task.cancel)


class ActiveJobs:
    """Reconcile gives back every pending entry of this worker whose job is not listed here as unconfirmed.

    `leftovers` are attempts of a lost lease that go on: each keeps its slot until it ends. `defects`: those met under leases before.
    """

    def __init__(self, slots: int, leftovers: Collection[asyncio.Task[None]] = (), defects: int = 0) -> None:
        self.slots = slots
        self.free = slots - len(leftovers)
        self.leftover = len(leftovers)
        self.running = 0
        self._active: dict[Place, ActiveJob] = {}
        self._slot_freed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_worker_cancelled: Callable[[], bool] = lambda: False
        """At its end `asyncio.run` cancels all tasks at once: those of attempts, and that of their worker."""
        self.defects = defects
        """Errors of the worker itself that it has met: attempts that one has ended, and claims that Redis has refused as a whole."""
        for task in leftovers:
            task.add_done_callback(self._end_leftover)

    # Slots

    async def wait_for_free(self) -> None:
        """Until a slot is free."""
        while self.free <= 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()

    def reserve(self, most: int) -> int:
        """Reserve up to `most` slots for a claim that is sent now, so that no other claim counts on them; how many."""
        slots = max(min(self.free, most), 0)
        self.free -= slots
        return slots

    def unreserve(self, slots: int) -> None:
        """The claim has its reply; each job it returned takes a slot when it begins."""
        self.free += slots
        self._slot_freed.set()

    def rest_slot(self, seconds: float) -> None:
        """Take one slot out of service for so long."""
        self.free -= 1
        asyncio.get_running_loop().call_later(seconds, self._free_slot)

    # The life of one attempt

    def begin(self, job: StartedJob, attempt: Callable[[ActiveJob], Coroutine[Any, Any, None]], *, takes_slot: bool = True) -> None:
        """Run the attempt as a task, in a slot if it takes one. It calls `end` when it has ended."""
        self.free -= takes_slot
        self.running += 1
        self._active[_place(job)] = active = ActiveJob(job, self.is_worker_cancelled, takes_slot=takes_slot)
        active.task = asyncio.create_task(attempt(active))
        self._idle.clear()

    def record_once(self, job: StartedJob) -> bool:
        """Whether this is the first outcome of the attempt: only the first one counts."""
        active = self._active.get(_place(job))
        if active is None or active.is_recorded:
            return False
        active.is_recorded = True
        return True

    def end(self, active: ActiveJob) -> None:
        """The attempt has ended and its slot is free; its outcome may still be unconfirmed."""
        if active.takes_slot:
            self._free_slot()
        self.running -= 1
        active.is_running = False
        if active.is_confirmed:
            del self._active[_place(active.job)]
        if not self.running:
            self._idle.set()

    def confirm(self, job: StartedJob) -> None:
        """Redis has recorded the outcome, and the entry is no longer pending."""
        place = _place(job)
        active = self._active.pop(place)
        active.is_confirmed = True
        if active.is_running:
            self._active[place] = active

    # Stopping

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Stop the attempts of these jobs, which callers have cancelled. Unknown ids have ended meanwhile."""
        wanted = set(job_ids)
        for active in self._active.values():
            if active.job.id in wanted and not active.is_recorded and not active.was_asked_to_stop:
                active.was_asked_to_stop = True
                active.stop()

    def cancel_all(self) -> None:
        """Stop every attempt; the jobs are to be given back."""
        for active in self._active.values():
            if active.is_running:
                active.stop()

    # What a worker has at this moment

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks of the attempts that have not ended."""
        return [active.task for active in self._active.values() if active.is_running]

    @property
    def unconfirmed(self) -> list[StartedJob]:
        """The jobs that are pending in Redis: those that run, and those whose outcome is unconfirmed."""
        return [active.job for active in self._active.values() if not active.is_confirmed]

    @property
    def unrecorded(self) -> list[StartedJob]:
        """The jobs whose attempts have no outcome yet."""
        return [active.job for active in self._active.values() if not active.is_recorded]

    @property
    def confirmed_and_running(self) -> int:
        """How many attempts go on after Redis has confirmed their outcome."""
        return sum(active.is_running and active.is_confirmed for active in self._active.values())

    @property
    def has_unconfirmed(self) -> bool:
        """Whether a job is pending in Redis for this worker."""
        return not all(active.is_confirmed for active in self._active.values())

    def overdue_jobs(self, overdue_tasks: Collection[asyncio.Task[object]]) -> list[StartedJob]:
        """The unconfirmed jobs whose attempts go on although they were asked to stop, or although their task is overdue."""
        return [
            active.job
            for active in self._active.values()
            if active.is_running and not active.is_confirmed and (active.was_asked_to_stop or active.task in overdue_tasks)
        ]

    async def wait_until_idle(self) -> None:
        """Until no attempt runs."""
        await self._idle.wait()

    def _end_leftover(self, _: asyncio.Task[None]) -> None:
        self.leftover -= 1
        self._free_slot()

    def _free_slot(self) -> None:
        self.free += 1
        self._slot_freed.set()


def _place(job: StartedJob) -> Place:
    return job.stream, job.entry, job.attempt
