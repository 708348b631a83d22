"""Managing: the verbs of a client for who looks after a queue: acts upon many jobs, the audit, memory, and what doctor finds."""

from runner.access import AuditLine
from runner.client.audit import lines_of
from runner.client.bulk import Bulks
from runner.client.examination import examine_queue
from runner.client.listing import Listing
from runner.store import Finding, MemoryStats, memory_stats


class Managing(Listing):
    """A part of `Client`."""

    @property
    def bulk(self) -> Bulks:
        """Cancel, retry, delete or purge all jobs that a filter asks for."""
        return Bulks(lambda: self._session.store, self._view)

    async def audit(self, *, since: object = None, after: str = "", most: int = 1_000, target: str = "") -> list[AuditLine]:
        """Who changed what: the first lines of the last `since` (seconds, or "1h"), of all that are kept, or after the line of this id.

        target: only those about it, like "job o-17" or "o-17".
        """
        return await lines_of(self._session.store, since, after, most, target)

    async def memory(self, *, whole: bool = False) -> MemoryStats:
        """What the queue has in Redis's memory, by kind: an estimate from the keys that are met in 2 s, or `whole` from all of them."""
        return await memory_stats(self._session.store, whole=whole)

    async def examine(self) -> list[Finding]:
        """Check the server and the format of its data, what the catalog lacks; name jobs that are throttled for ever, and workers that met defects.

        Raises `StoreUnavailable`.
        """
        return await examine_queue(self._session.store, self._session.homes)
