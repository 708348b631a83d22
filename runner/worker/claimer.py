"""Claimer: keeps the slots busy. Free slots -> claim -> one asyncio task per job; waits on the streams when there is nothing to do."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from runner.clock import monotonic_s
from runner.errors import LeaseLost, StoreUnavailable
from runner.jobs import Ending, Outcome, Priority, StartedJob
from runner.store import Claimed, ClaimRequest, Claims, HeldEntry, Look, around_attempt
from runner.worker.active_jobs import ActiveJobs
from runner.worker.completer import Completer
from runner.worker.executor import Executor
from runner.worker.priority_shares import PriorityShares

log = logging.getLogger("runner")

_RETRY_S = 0.2
_LOOK_S = 0.1
"""With jobs coming in all the time nothing ever times out; the wakes are looked at this often all the same."""
_SMALLEST_SHARE = 32
"""Slots that one claim may fill in any case; beyond them it fills half of the worker's."""


def _place_of(entry: bytes) -> tuple[int, int]:
    """Where an entry stands in its stream: ids are numbers, milliseconds and a count."""
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)


class Claimer:
    """The claim loop of one worker under one lease."""

    def __init__(self, store: Claims, worker: str, active_jobs: ActiveJobs, executor: Executor, completer: Completer) -> None:
        self._store = store
        self._worker = worker
        self._active_jobs = active_jobs
        self._execute = around_attempt(store.settings.failpoints, executor.execute)
        self._completer = completer
        # While Redis starts the jobs of one half, the worker runs those of the other: neither waits for its turn.
        self._share = max(active_jobs.slots // 2, _SMALLEST_SHARE)
        self._block_s = store.settings.block_s
        self._ttl_ms = store.settings.result_ttl_ms
        self._priority_shares = PriorityShares(store.settings.least_share)
        self._seen = [b"0-0"] * len(Priority)
        self._again: list[HeldEntry] = []
        self._suspects: list[HeldEntry] = []
        self._looked_s = float("-inf")
        self._check_due_s = monotonic_s() + store.settings.lease_s
        self._undisturbed = asyncio.Lock()
        """Held while nothing may be started for the leader: it would be given back unseen, or run beside a suspect."""
        self._is_over = False

    async def run(self) -> None:
        """Claim until cancelled. Raises `LeaseLost`."""
        try:
            more = True
            while True:
                await self._active_jobs.wait_for_free()
                try:
                    if monotonic_s() >= self._check_due_s:
                        await self._check_what_is_held()
                    if self._suspects:
                        await self._run_alone(self._suspects[0])
                    more = await self._fill(more=more or bool(self._suspects))
                except StoreUnavailable as error:
                    log.warning("claiming waits for Redis: %s", error)
                    await self._recover()
                    more = True
        finally:
            self._is_over = True
            async with self._undisturbed:
                pass  # what is being started for the leader is in hand now

    async def start_due(self, *, others: bool) -> tuple[int, int] | None:
        """Start what waits and is due in slots that no claim counts on: (started, µs until the next wake, -1 if nobody waits).

        None, and nothing was done: it is for whoever reads the streams. So it is with `others` at work while this worker has a job,
        that they get their share. Raises `StoreUnavailable`.
        """
        if self._is_over or self._undisturbed.locked() or (others and not self._active_jobs.is_empty):
            return None
        free = self._active_jobs.reserve(self._share)
        if not free:
            return None
        async with self._undisturbed:
            try:
                claimed = await self._store.claim(self._worker, ClaimRequest(free, owed=self._owed))
            except (StoreUnavailable, LeaseLost) as error:
                self._check_due_s = monotonic_s()  # Redis may have started what nobody here knows of
                if isinstance(error, LeaseLost):
                    return None
                raise
            finally:
                self._active_jobs.unreserve(free)
            self._begin(claimed)
            return len(claimed.jobs), claimed.next_wake_us

    def give_back(self) -> None:
        """Give back the attempts that did not end when they were stopped; whatever they come to counts no more."""
        for job in self._active_jobs.unrecorded:
            log.warning("job %s (%s) did not end when it was stopped; it is given back", job.id, job.task)
            self._record(Outcome(job, Ending.returned, ttl_ms=self._ttl_ms))

    async def _fill(self, *, more: bool) -> bool:
        """Claim what is known to be there, or wait for it; whether there is more."""
        # While this worker waits the other half of its free slots is for what it starts as leader.
        most = self._share if more or self._again else min(self._share, (self._active_jobs.free + 1) // 2)
        free = self._active_jobs.reserve(most)
        try:
            if self._again:
                again, self._again = self._again, []
                claimed = await self._claim(free, again)
            else:
                claimed = await (self._claim(free) if more else self._wait_and_claim(free))
        finally:
            self._active_jobs.unreserve(free)
        self._begin(claimed)
        # More is due and nothing could start: the window is full of jobs in other hands, and would be at once again.
        return len(claimed.jobs) >= free or (claimed.next_wake_us == 0 and len(claimed.jobs) > 0)

    async def _claim(self, free: int, held: Sequence[HeldEntry] = (), *, alone: bool = False) -> Claimed:
        """Start the `held` entries, or without any what is there."""
        look = Look.yes if self._is_time_to_look(always=not held) else Look.no
        request = ClaimRequest(free, held, self._owed, look, read_more=not held, alone=alone)
        return await self._store.claim(self._worker, request)

    async def _wait_and_claim(self, free: int) -> Claimed:
        seen = list(self._seen)
        look = Look.yes if self._is_time_to_look() else Look.if_idle
        request = ClaimRequest(free, owed=self._owed, look=look)
        held, claimed = await self._store.wait_and_claim(self._worker, request, seen, block_s=self._block_s)
        # Their group was destroyed, and the claim looked behind them: kept here they would be taken from the workers that run them.
        self._again = [entry for entry in held if _place_of(entry[1]) <= _place_of(seen[entry[0]])]
        self._see(held)
        return claimed

    @property
    def _owed(self) -> tuple[int, int]:
        return self._priority_shares.owed(Priority.normal), self._priority_shares.owed(Priority.low)

    def _see(self, entries: Iterable[HeldEntry | StartedJob]) -> None:
        """Note the latest entry of each stream that came here: what Redis holds for this worker behind it, a read has just brought."""
        for priority, entry, *_ in entries:
            self._seen[priority] = max(self._seen[priority], entry, key=_place_of)

    async def _run_alone(self, suspect: HeldEntry) -> None:
        """Run a job by itself that workers were lost with: whoever ran beside it would be lost too, and could be taken for the cause."""
        log.warning(
            "job %s was lost with its workers so often that it runs by itself; %d others end first",
            suspect[2].decode(),
            self._active_jobs.running,
        )
        async with self._undisturbed:
            await self._active_jobs.wait_until_empty()
            await self._completer.wait_until_delivered()
            self._begin(await self._claim(1, [suspect], alone=True))
            self._suspects.remove(suspect)
            await self._active_jobs.wait_until_empty()

    def _begin(self, claimed: Claimed) -> None:
        self._priority_shares.started(claimed.jobs)
        self._see(claimed.jobs)
        if claimed.suspect is not None and claimed.suspect not in self._suspects:
            self._see([claimed.suspect])
            self._suspects.append(claimed.suspect)
        for job in claimed.jobs:
            self._start(job)
        if claimed.dropped:
            log.error("%d stream entries belonged to no job and were dropped", claimed.dropped)

    def _is_time_to_look(self, *, always: bool = False) -> bool:
        """Whether this claim looks at the wakes too. The leader does, so it is enough now and then while jobs come in."""
        now_s = monotonic_s()
        if always or now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            return True
        return False

    def _start(self, job: StartedJob) -> None:
        self._active_jobs.begin(job, asyncio.create_task(self._attempt(job)))

    async def _attempt(self, job: StartedJob) -> None:
        try:
            await self._execute(job, self._record)
        except asyncio.CancelledError:
            ending = Ending.cancelled if self._active_jobs.was_asked_to_stop(job) else Ending.returned
            self._record(Outcome(job, ending, ttl_ms=self._ttl_ms))
        finally:
            self._active_jobs.end(job)

    def _record(self, outcome: Outcome) -> None:
        if self._active_jobs.record_once(outcome.job):
            self._completer.add(outcome)

    async def _check_what_is_held(self) -> None:
        """A read can be answered after its connection was given up and the books were balanced; once in a lease they are compared."""
        given_back = await self._reconcile()
        if given_back:
            log.warning("gave back %d entries that Redis counted as ours and nobody here had seen", given_back)

    async def _recover(self) -> None:
        """After a lost reply Redis may think we hold what we never saw: give that back before claiming again."""
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                given_back = await self._reconcile()
            except StoreUnavailable:
                continue
            log.info("Redis is back; %d entries of lost replies given back", given_back)
            return

    async def _reconcile(self) -> int:
        """Give back what this worker holds and does not run, also what it was about to claim."""
        async with self._undisturbed:
            given_back = await self._store.reconcile(self._worker, self._active_jobs.held)
            self._check_due_s = monotonic_s() + self._store.settings.lease_s
        self._again.clear()
        self._suspects.clear()
        return given_back
