"""Recovery: what Redis counts as held by this worker although the worker does not run it, as after a lost reply. It starts nothing."""

import asyncio
import logging
from collections.abc import Sequence

from runner.clock import monotonic_s
from runner.errors import StoreUnavailable
from runner.foreign import indented
from runner.jobs import Priority, StartedJob
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Claimed, Claims, HeldEntry
from runner.traces import trace_of
from runner.worker.active_jobs import ActiveJobs
from runner.worker.redis_pause import EXPECTED, RETRY_S

log = logging.getLogger("runner")


EntryId = tuple[int, int]
"""An entry's id as numbers, which sort in the order of the stream: milliseconds and a count."""


class Recovery:
    """The entries one worker has seen, those it must claim explicitly, and the comparison of its books with those of Redis."""

    def __init__(self, store: Claims, worker: str, active_jobs: ActiveJobs) -> None:
        self._store = store
        self._worker = worker
        self._active_jobs = active_jobs
        self._said = LogThrottle(A_MINUTE_S)
        self._last_seen: list[tuple[EntryId, bytes]] = [((0, 0), b"0-0")] * (len(Priority) * len(store.pools_read))
        self._reconcile_due_s = monotonic_s() + store.settings.lease_s
        self.redelivered: list[HeldEntry] = []
        """Entries that a claim after a read has skipped; they are to be claimed explicitly."""
        self.kept: list[HeldEntry] = []
        """Entries that reads have brought while the queue was paused: they stay with this worker, and start first when it goes on."""
        self.suspects: list[HeldEntry] = []
        """Jobs that were lost with so many workers that they must run alone."""
        self.exclusive = asyncio.Lock()
        """Held during reconcile and while a suspect runs. The leader must not start jobs then: reconcile would give them back as
        unknown, and a suspect must run alone."""

    def last_seen(self) -> list[tuple[EntryId, bytes]]:
        """The latest entry of each stream that this worker has seen."""
        return list(self._last_seen)

    def note_read(self, entries: Sequence[HeldEntry], last_seen: Sequence[tuple[EntryId, bytes]]) -> None:
        """A read returned these entries; the claim sent along with it has skipped those that are not newer than `last_seen`."""
        # Delivered again after the group was recreated: these ids are older than the last one seen, so the claim skipped them.
        # Another worker may be running them, and while they are pending here Redis would take them from it.
        self.redelivered = [entry for entry in entries if self._note_seen(entry) <= last_seen[entry[0]][0]]

    def note_claimed(self, claimed: Claimed) -> None:
        """A claim has returned: what it started has been seen, and so has its suspect, which waits here until it can run alone."""
        for job in claimed.jobs:
            self._note_seen(job)
        if claimed.suspect is not None and claimed.suspect not in self.suspects:
            self._note_seen(claimed.suspect)
            self.suspects.append(claimed.suspect)

    def note_seen(self, entries: Sequence[HeldEntry]) -> None:
        """A look at streams has found these; nobody is given them by that."""
        for entry in entries:
            self._note_seen(entry)

    def keep(self, entries: Sequence[HeldEntry]) -> None:
        """These were to be claimed, and the queue is paused: they are to be claimed when it goes on."""
        self.note_seen(entries)
        self.kept += [entry for entry in entries if entry not in self.kept]

    def take_redelivered(self) -> list[HeldEntry]:
        """The entries to claim explicitly, once: those that were kept, then others."""
        entries = self.kept + self.redelivered
        self.kept, self.redelivered = [], []
        return entries

    def reconcile_soon(self) -> None:
        """A claim of the leader got no reply: Redis may have started jobs that this worker does not know."""
        self._reconcile_due_s = monotonic_s()

    async def reconcile_if_due(self) -> None:
        """Reconcile once in a lease: a read can be answered after its connection was given up, and after the last reconcile."""
        if monotonic_s() >= self._reconcile_due_s:
            given_back = await self.reconcile(keeps=True)
            if given_back:
                log.warning("gave back %d entries that were pending for this worker and that it had never seen", given_back)

    async def reconcile_after_outage(self) -> None:
        """Reconcile before the next claim: Redis may have started jobs in a claim whose reply was lost. Tries until it succeeds."""
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                given_back = await self.reconcile()
            except StoreUnavailable:
                continue
            log.info("Redis is back; %d entries of lost replies given back", given_back)
            return

    async def reconcile(self, *, keeps: bool = False) -> int:
        """Give back what this worker holds and does not run, also what it was about to claim; how many entries. Raises `StoreUnavailable`.

        With `keeps` not what it keeps until the queue goes on: that is for times at which Redis was never away.

        If Redis refuses it as a whole, claiming goes on all the same: the next one, a lease later, gives back what this one did not.
        """
        async with self.exclusive:
            try:
                if not keeps:
                    self.kept.clear()
                given_back = await self._store.reconcile(self._worker, self._active_jobs.unconfirmed, self.kept)
            except EXPECTED:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one entry must not end the worker
                self._active_jobs.defects += 1
                given_back = 0
                if self._said.is_due(monotonic_s()):
                    log.critical(
                        "Redis refuses to take back what this worker does not run; please report it:\n%s", indented(trace_of(error))
                    )
            self._reconcile_due_s = monotonic_s() + self._store.settings.lease_s
        self.redelivered.clear()
        self.suspects.clear()
        return given_back

    def _note_seen(self, entry: HeldEntry | StartedJob) -> EntryId:
        """Its id. Parsed once: this runs twice for every job."""
        milliseconds, _, number = entry[1].partition(b"-")
        entry_id = int(milliseconds), int(number)
        if entry_id > self._last_seen[entry[0]][0]:
            self._last_seen[entry[0]] = entry_id, entry[1]
        return entry_id
