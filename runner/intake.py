"""Intake: keeps the slots busy. Free slots -> claim -> one asyncio task per job; waits on the streams when there is nothing to do."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from runner.clock import monotonic_s
from runner.completion import Completion
from runner.errors import StoreUnavailable
from runner.executor import Executor
from runner.failpoints import around_attempt
from runner.in_hand import InHand
from runner.job import Ending, Outcome, StartedJob
from runner.keys import Priority
from runner.replies import Claimed, HeldEntry
from runner.shares import Shares
from runner.store import JobStore

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


class Intake:
    """The claim loop of one worker under one lease."""

    def __init__(self, store: JobStore, worker: str, in_hand: InHand, executor: Executor, completion: Completion) -> None:
        self._store = store
        self._worker = worker
        self._in_hand = in_hand
        self._execute = around_attempt(store.settings.failpoints, executor.execute)
        self._completion = completion
        # While Redis starts the jobs of one half, the worker runs those of the other: neither waits for its turn.
        self._share = max(in_hand.slots // 2, _SMALLEST_SHARE)
        self._block_s = store.settings.block_s
        self._ttl_ms = store.settings.result_ttl_ms
        self._shares = Shares(store.settings.least_share)
        self._seen = [b"0-0"] * len(Priority)
        self._looked_s = float("-inf")
        self._check_due_s = monotonic_s() + store.settings.lease_s

    async def run(self) -> None:
        """Claim until cancelled. Raises `LeaseLost`."""
        more = True
        while True:
            free = min(await self._in_hand.wait_for_free(), self._share)
            try:
                if monotonic_s() >= self._check_due_s:
                    await self._check_what_is_held()
                claimed = await self._claim(free) if more else await self._wait_and_claim(free)
                if claimed.suspect is not None:
                    self._begin(claimed)
                    claimed = await self._claim_alone(claimed.suspect)
            except StoreUnavailable as error:
                log.warning("claiming waits for Redis: %s", error)
                await self._recover()
                more = True
                continue
            self._begin(claimed)
            if claimed.alone:
                await self._in_hand.wait_until_empty()
            # More is due and nothing could start: the window is full of jobs in other hands, and would be at once again.
            more = claimed.alone or len(claimed.jobs) >= free or (claimed.next_wake_us == 0 and len(claimed.jobs) > 0)

    def give_back(self) -> None:
        """Give back the attempts that did not end when they were stopped; whatever they come to counts no more."""
        for job in self._in_hand.undecided:
            log.warning("job %s (%s) did not end when it was stopped; it is given back", job.id, job.task)
            self._record(Outcome(job, Ending.returned, ttl_ms=self._ttl_ms))

    async def _claim(self, free: int, held: Sequence[HeldEntry] = ()) -> Claimed:
        """Start the `held` entries, or without any what is there."""
        look = self._is_time_to_look(always=not held)
        return await self._store.claim(
            self._worker, free, held, read_more=not held, look=look, owed=self._owed, alone=self._in_hand.is_empty
        )

    async def _wait_and_claim(self, free: int) -> Claimed:
        held, claimed = await self._store.wait_and_claim(
            self._worker,
            free,
            self._seen,
            block_s=self._block_s,
            look=self._is_time_to_look(),
            owed=self._owed,
            alone=self._in_hand.is_empty,
        )
        again = [entry for entry in held if _place_of(entry[1]) <= _place_of(self._seen[entry[0]])]
        self._see(held)
        if again:
            # Their group was destroyed, and the claim looked behind them: kept here they would be taken from the workers that run them.
            self._begin(claimed)
            claimed = await self._claim(free - len(claimed.jobs), again)
        return claimed

    @property
    def _owed(self) -> tuple[int, int]:
        return self._shares.owed(Priority.normal), self._shares.owed(Priority.low)

    def _see(self, entries: Iterable[HeldEntry | StartedJob]) -> None:
        """Note the latest entry of each stream that came here: what Redis holds for this worker behind it, a read has just brought."""
        for priority, entry, *_ in entries:
            self._seen[priority] = max(self._seen[priority], entry, key=_place_of)

    async def _claim_alone(self, suspect: HeldEntry) -> Claimed:
        """Run a job by itself that workers were lost with: whoever ran beside it would be lost too, and could be taken for the cause."""
        log.warning(
            "job %s was lost with its workers so often that it runs by itself; %d others end first",
            suspect[2].decode(),
            self._in_hand.running,
        )
        await self._in_hand.wait_until_empty()
        await self._completion.wait_until_delivered()
        return await self._claim(1, [suspect])

    def _begin(self, claimed: Claimed) -> None:
        self._shares.started(claimed.jobs)
        self._see(claimed.jobs)
        if claimed.suspect is not None:
            self._see([claimed.suspect])
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
        self._in_hand.begin(job, asyncio.create_task(self._attempt(job)))

    async def _attempt(self, job: StartedJob) -> None:
        try:
            await self._execute(job, self._record)
        except asyncio.CancelledError:
            ending = Ending.cancelled if self._in_hand.was_asked_to_stop(job) else Ending.returned
            self._record(Outcome(job, ending, ttl_ms=self._ttl_ms))
        finally:
            self._in_hand.end(job)

    def _record(self, outcome: Outcome) -> None:
        if self._in_hand.decide(outcome.job):
            self._completion.add(outcome)

    async def _check_what_is_held(self) -> None:
        """A read can be answered after its connection was given up and the books were balanced; once in a lease they are compared."""
        given_back = await self._store.reconcile(self._worker, self._in_hand.held)
        self._check_due_s = monotonic_s() + self._store.settings.lease_s
        if given_back:
            log.warning("gave back %d entries that Redis counted as ours and nobody here had seen", given_back)

    async def _recover(self) -> None:
        """After a lost reply Redis may think we hold what we never saw: give that back before claiming again."""
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                given_back = await self._store.reconcile(self._worker, self._in_hand.held)
            except StoreUnavailable:
                continue
            log.info("Redis is back; %d entries of lost replies given back", given_back)
            return
