"""InHand: what this worker holds right now: free slots, running attempts, and outcomes Redis has not confirmed yet."""

import asyncio
from collections.abc import Iterable

from runner.job import StartedJob


class InHand:
    """The slots of one worker, and every entry it must not let Redis take for lost."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.free = slots
        self.cancel_requested: set[str] = set()
        self._entries: dict[bytes, StartedJob] = {}
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._slot_freed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def entries(self) -> Iterable[bytes]:
        """Stream entries of running attempts and of unconfirmed outcomes."""
        return self._entries.keys()

    @property
    def running(self) -> int:
        return len(self._attempts)

    async def wait_for_free(self) -> int:
        """How many slots are free, once there is one."""
        while self.free == 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()
        return self.free

    def begin(self, job: StartedJob, attempt: asyncio.Task[None]) -> None:
        """A slot is taken by this attempt."""
        self.free -= 1
        self._entries[job.entry] = job
        self._attempts[job.id] = attempt
        self._empty.clear()

    def end(self, job: StartedJob) -> None:
        """The attempt is over and its slot free; its outcome may still be unconfirmed."""
        self.free += 1
        self._slot_freed.set()
        self._attempts.pop(job.id, None)
        self.cancel_requested.discard(job.id)
        if not self._attempts:
            self._empty.set()

    def confirm(self, job: StartedJob) -> None:
        """Redis has taken the outcome; the entry is no longer ours."""
        self._entries.pop(job.entry, None)

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Stop attempts somebody asked to stop. Unknown ids have ended meanwhile."""
        for job_id in job_ids:
            attempt = self._attempts.get(job_id)
            if attempt is not None and job_id not in self.cancel_requested:
                self.cancel_requested.add(job_id)
                attempt.cancel()

    def cancel_all(self) -> None:
        """Stop every attempt; the jobs are to be given back."""
        for attempt in self._attempts.values():
            attempt.cancel()

    async def wait_until_empty(self) -> None:
        """Until no attempt runs."""
        await self._empty.wait()
