"""ActiveJobs: what this worker holds right now: free slots, running attempts, and outcomes Redis has not confirmed yet."""

import asyncio
from collections.abc import Collection, Iterable

from runner.jobs import StartedJob

Place = tuple[int, bytes, int]
"""Which attempt it is: priority, entry id and attempt number. Entries of two streams can have the same id, and an entry whose group
was destroyed is delivered again."""


class ActiveJobs:
    """The slots of one worker, and every entry it must not let Redis take for lost.

    `leftovers` are attempts of a lost lease that go on all the same: each keeps its slot until it ends.
    """

    def __init__(self, slots: int, leftovers: Collection[asyncio.Task[None]] = ()) -> None:
        self.slots = slots
        self.free = slots - len(leftovers)
        self._held: dict[Place, StartedJob] = {}
        self._attempts: dict[Place, asyncio.Task[None]] = {}
        self._unrecorded: dict[Place, StartedJob] = {}
        self._asked_to_stop: set[Place] = set()
        self._slot_freed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._defect: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for task in leftovers:
            task.add_done_callback(self._free_slot)

    @property
    def defect(self) -> asyncio.Future[None]:
        """Fails with whatever an attempt raises: it records what its handler does, so this is an error of the worker itself."""
        return self._defect

    @property
    def attempts(self) -> list[asyncio.Task[None]]:
        """The attempts that have not ended."""
        return list(self._attempts.values())

    @property
    def held(self) -> list[StartedJob]:
        """The running attempts, and those whose outcome is unconfirmed."""
        return list(self._held.values())

    @property
    def unrecorded(self) -> list[StartedJob]:
        """The attempts that have come to nothing yet."""
        return list(self._unrecorded.values())

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs and Redis has confirmed every outcome."""
        return not self._held

    @property
    def running(self) -> int:
        return len(self._attempts)

    async def wait_for_free(self) -> None:
        """Until a slot is free."""
        while self.free <= 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()

    def reserve(self, most: int) -> int:
        """Up to `most` slots for a claim that is sent now, so that no other counts on them; how many. They are to be given up again."""
        slots = max(min(self.free, most), 0)
        self.free -= slots
        return slots

    def unreserve(self, reserved: int) -> None:
        """The claim is answered; what it brought takes its slots by itself."""
        self.free += reserved
        self._slot_freed.set()

    def begin(self, job: StartedJob, attempt: asyncio.Task[None]) -> None:
        """A slot is taken by this attempt."""
        self.free -= 1
        place = _place(job)
        self._held[place] = self._unrecorded[place] = job
        self._attempts[place] = attempt
        attempt.add_done_callback(self._note_defect)
        self._empty.clear()

    def record_once(self, job: StartedJob) -> bool:
        """Whether this is the first outcome of the attempt. From now on nobody can stop it, though its slot may still be taken."""
        return self._unrecorded.pop(_place(job), None) is not None

    def end(self, job: StartedJob) -> None:
        """The attempt is over and its slot free; its outcome may still be unconfirmed."""
        self._free_slot()
        del self._attempts[_place(job)]
        self._asked_to_stop.discard(_place(job))
        if not self._attempts:
            self._empty.set()

    def confirm(self, job: StartedJob) -> None:
        """Redis has taken the outcome; the entry is no longer ours."""
        self._held.pop(_place(job), None)

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Stop attempts somebody asked to stop. Unknown ids have ended meanwhile."""
        wanted = set(job_ids)
        for place, job in self._unrecorded.items():
            if job.id in wanted and place not in self._asked_to_stop:
                self._asked_to_stop.add(place)
                self._stop(place)

    def was_asked_to_stop(self, job: StartedJob) -> bool:
        """Whether somebody cancelled this job, rather than this worker giving it back."""
        return _place(job) in self._asked_to_stop

    def overdue_jobs(self, overdue: Collection[asyncio.Task[object]]) -> list[StartedJob]:
        """The attempts without a confirmed outcome that were asked to stop and have not ended, or whose tasks are overdue."""
        told = [place for place, task in self._attempts.items() if place in self._asked_to_stop or task in overdue]
        return [self._held[place] for place in told if place in self._held]

    @property
    def running_after_end(self) -> int:
        """Attempts that go on though their outcome is confirmed: each is a slot of nobody's job."""
        return sum(place not in self._held for place in self._attempts)

    def cancel_all(self) -> None:
        """Stop every attempt; the jobs are to be given back."""
        for place in self._attempts:
            self._stop(place)

    async def wait_until_empty(self) -> None:
        """Until no attempt runs."""
        await self._empty.wait()

    def _free_slot(self, _: object = None) -> None:
        self.free += 1
        self._slot_freed.set()

    def _note_defect(self, attempt: asyncio.Task[None]) -> None:
        error = None if attempt.cancelled() else attempt.exception()
        if error is not None and not self._defect.done():
            self._defect.set_exception(error)

    def _stop(self, place: Place) -> None:
        # In the next turn of the loop: an attempt cancelled before its first step would never reach its own `finally`.
        asyncio.get_running_loop().call_soon(self._attempts[place].cancel)


def _place(job: StartedJob) -> Place:
    return job.priority, job.entry, job.attempt
