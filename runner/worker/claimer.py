"""Claimer: keeps the slots busy. It claims as many jobs as slots are free, and waits on the streams when there is nothing to claim."""

import asyncio
import logging
from collections.abc import Sequence

from runner.clock import monotonic_s
from runner.errors import LeaseLost, StoreUnavailable
from runner.jobs import Priority
from runner.store import MOST_PER_CALL, MOST_READ, Claimed, ClaimRequest, Claims, HeldEntry, Look, decoded, left_s
from runner.worker.active_jobs import ActiveJobs
from runner.worker.attempts import Attempts
from runner.worker.completer import Completer
from runner.worker.priority_shares import PriorityShares
from runner.worker.recovery import Recovery
from runner.worker.redis_pause import EXPECTED, RETRY_S
from runner.worker.refused_claims import RefusedClaims

log = logging.getLogger("runner")

_LOOK_AT_WAKES_S = 0.1
"""While jobs come in all the time no read ever times out, so a claim looks at the wakes at least this often."""
_REST_S = 5.0
"""So long no claim looks at the wakes after Redis has refused one, and no entry of it was at fault: what is due there may be."""
_LEAST_PER_CLAIM = 32
"""Slots that one claim may fill in any case; beyond them it may fill half of the worker's, as far as one call of the store goes."""


class Claimer:
    """The claim loop of one worker under one lease."""

    def __init__(self, store: Claims, worker: str, active_jobs: ActiveJobs, attempts: Attempts, completer: Completer) -> None:
        self._store = store
        self._worker = worker
        self._active_jobs = active_jobs
        self._attempts = attempts
        self._completer = completer
        self._in_processes = attempts.children.names
        self._recovery = Recovery(store, worker, active_jobs)
        self._refused = RefusedClaims(store, worker, active_jobs, self._recovery, self._start_just)
        self._refusal: Exception | None = None
        # While Redis starts jobs for one half of the slots, the worker runs those of the other half: neither waits for the other.
        self._most_per_claim = min(max(active_jobs.slots // 2, _LEAST_PER_CLAIM), MOST_PER_CALL)
        self._priority_shares = PriorityShares(store.settings.least_share)
        self._shares_in_processes = PriorityShares(store.settings.least_share)
        self._looked_at_wakes_s = self._rests_until_s = float("-inf")
        self._has_stopped = self._is_paused = False

    async def run(self) -> None:
        """Claim until cancelled. Raises `LeaseLost`."""
        try:
            more = True
            while True:
                try:
                    await self._sort_out()
                    await self._active_jobs.wait_for_free()
                    await self._recovery.reconcile_if_due()
                    suspects = self._recovery.suspects
                    if suspects:
                        await self._run_alone(suspects[0])
                    more = await self._fill(more=more or bool(suspects))
                except StoreUnavailable as error:
                    log.warning("claiming waits for Redis: %s", error)
                    await self._recovery.reconcile_after_outage()
                    more = True
                except EXPECTED:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever one entry makes Redis or this worker raise, the others go on
                    self._refusal = error
                    await asyncio.sleep(RETRY_S)
                    more = True
        finally:
            self._has_stopped = True
            async with self._recovery.exclusive:
                pass  # what others were claiming by it meanwhile has begun, so draining counts it

    async def start_due(self, *, others: bool) -> tuple[int, int] | None:
        """For the leader: start due jobs directly in slots that no claim has reserved, bypassing the streams.

        Returns (started, µs until the next wake, -1 if no job waits). Returns None, having done nothing, if the jobs should go to the
        streams, where every worker can take them: this one has no free slot, or it has jobs and there are `others` to share with.
        Raises `StoreUnavailable`.
        """
        if self._has_stopped or self._recovery.exclusive.locked() or (others and self._active_jobs.has_unconfirmed):
            return None
        free = self._active_jobs.reserve(self._most_per_claim)
        if not free:
            return None
        try:
            claimed = await self._claim_beside(self._request(free))
        except LeaseLost:
            return None  # the claim loop meets the same error, and ends by it
        finally:
            self._active_jobs.unreserve(free)
        return None if claimed is None else (len(claimed.jobs), claimed.next_wake_us)

    async def claim_for_children(self, free: int) -> Claimed | None:
        """For the process claimer: start what lies on the streams of jobs in child processes. None if Redis refuses it, and this loop sorts it out.

        Raises `LeaseLost`, `StoreUnavailable`.
        """
        owed = _owed(self._shares_in_processes)
        return await self._claim_beside(ClaimRequest(free, (), owed, Look.yes, True, False, self._attempts.unserved, for_children=True))

    async def wait_for_process_jobs(self) -> None:
        """For the process claimer: until one has come that it has not seen, or for `block_s`."""
        seen = [entry for _, entry in self._recovery.last_seen()]
        self._recovery.note_seen(await self._store.wait_for_process_jobs(seen, block_s=self._store.settings.block_s))

    async def _claim_beside(self, request: ClaimRequest) -> Claimed | None:
        """A claim while the claim loop may wait for its own. None if Redis refuses it. Raises `LeaseLost`, `StoreUnavailable`."""
        async with self._recovery.exclusive:
            try:
                claimed = await self._store.claim(self._worker, request)
                self._begin(claimed)
                await self._refused.decline_noted()
            except StoreUnavailable:
                self._recovery.reconcile_soon()
                raise
            except EXPECTED:
                raise
            except Exception as error:  # noqa: BLE001 - the claim loop sorts it out
                self._refusal = error
                return None
            return claimed

    def _request(
        self, free: int, held: Sequence[HeldEntry] = (), look: Look = Look.yes, *, read_more: bool = False, alone: bool = False
    ) -> ClaimRequest:
        """For the slots of this loop, or of children if the entries are theirs."""
        for_children = any(stream >= self._store.process_streams_from for stream, *_ in held)
        in_processes = "" if for_children else self._in_processes
        return ClaimRequest(free, held, self._owed, look, read_more, alone, self._attempts.unserved, in_processes, for_children)

    async def _fill(self, *, more: bool) -> bool:
        """Claim what is known to be there, or wait for it. Whether there is more."""
        redelivered = self._recovery.take_redelivered()
        waits = not more and not redelivered
        # While this worker waits, the other half of its free slots is for jobs that it starts as leader.
        most = min(self._most_per_claim, (self._active_jobs.free + 1) // 2) if waits else self._most_per_claim
        free = self._active_jobs.reserve(most)
        try:
            claimed = await (self._wait_and_claim(free) if waits else self._claim(free, redelivered))
        finally:
            self._active_jobs.unreserve(free)
        self._begin(claimed)
        if claimed.paused_after is not None:
            self._recovery.keep(redelivered)
            await self._wait_until_resumed(claimed, claimed.paused_after)
            return True
        # If more is due and this claim started nothing, other workers hold all jobs of the window: the next claim would start none either.
        is_full = len(claimed.jobs) >= (min(free, MOST_READ) if waits else free)
        return is_full or (claimed.next_wake_us == 0 and len(claimed.jobs) > 0)

    async def _claim(self, free: int, held: Sequence[HeldEntry] = (), *, alone: bool = False) -> Claimed:
        """Start the `held` entries; without any, read what is there and start that."""
        look = Look.yes if self._is_time_to_look(always=not held) else Look.no
        return await self._store.claim(self._worker, self._request(free, held, look, read_more=not held, alone=alone))

    async def _start_just(self, held: Sequence[HeldEntry]) -> None:
        """Claim these entries and nothing else."""
        free = self._active_jobs.reserve(len(held))
        try:
            claimed = await self._store.claim(self._worker, self._request(free, held, Look.no)._replace(owed=(0, 0)))
        finally:
            self._active_jobs.unreserve(free)
        self._begin(claimed)

    async def _sort_out(self) -> None:
        """Deal with what claims have left behind: entries to decline, and a refusal."""
        await self._refused.decline_noted()
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            if not await self._refused.sort_out(refusal):
                self._rests_until_s = monotonic_s() + _REST_S

    async def _wait_and_claim(self, free: int) -> Claimed:
        last_seen = self._recovery.last_seen()
        look = Look.yes if self._is_time_to_look() else Look.no if self._rests else Look.if_idle
        request = self._request(free, (), look)
        seen = [entry for _, entry in last_seen]
        held, claimed = await self._store.wait_and_claim(self._worker, request, seen, block_s=self._store.settings.block_s)
        if claimed.paused_after is None:
            self._recovery.note_read(held, last_seen)
        else:
            self._recovery.keep(held)
        return claimed

    async def _wait_until_resumed(self, claimed: Claimed, after: bytes) -> None:
        """Nothing of the queue starts: no stream is read until a pause has ended, or begun, after this change. Now and then the claim is asked."""
        if not self._is_paused:
            log.info("the queue is paused: this worker starts nothing until it is resumed")
            self._is_paused = True
        await self._store.wait_for_change(after, left_s(claimed.next_wake_us, self._store.settings.block_s))

    async def _run_alone(self, suspect: HeldEntry) -> None:
        """Run by itself a job that several workers were lost with: jobs that run alongside would be lost too, and could be blamed."""
        log.warning(
            "job %s was lost with its workers so often that it runs by itself; %d others end first",
            decoded(suspect[2]),
            self._active_jobs.running,
        )
        async with self._recovery.exclusive:
            await self._active_jobs.wait_until_idle()
            await self._completer.delivered.wait()
            claimed = await self._claim(1, [suspect], alone=True)
            if claimed.paused_after is not None:
                return  # the next claim waits until the queue goes on
            self._begin(claimed)
            self._recovery.suspects.remove(suspect)
            await self._active_jobs.wait_until_idle()

    def _begin(self, claimed: Claimed) -> None:
        if self._is_paused and claimed.paused_after is None:
            self._is_paused = False
            log.info("the queue goes on")
        in_children = claimed.jobs and claimed.jobs[0].stream >= self._store.process_streams_from
        (self._shares_in_processes if in_children else self._priority_shares).started(claimed.jobs)
        self._recovery.note_claimed(claimed)
        self._refused.note(claimed)
        for job in claimed.jobs:
            self._attempts.start(job)
        if claimed.dropped:
            log.error("%d stream entries belonged to no job and were dropped", claimed.dropped)

    @property
    def _rests(self) -> bool:
        return monotonic_s() < self._rests_until_s

    @property
    def _owed(self) -> tuple[int, int]:
        return _owed(self._priority_shares)

    def _is_time_to_look(self, *, always: bool = False) -> bool:
        """Whether this claim looks at the wakes too. While jobs come in, now and then is enough, because the leader looks all the time."""
        now_s = monotonic_s()
        if (always or now_s - self._looked_at_wakes_s > _LOOK_AT_WAKES_S) and not self._rests:
            self._looked_at_wakes_s = now_s
            return True
        return False


def _owed(shares: PriorityShares) -> tuple[int, int]:
    return shares.owed(Priority.normal), shares.owed(Priority.low)
