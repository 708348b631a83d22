"""DirectStore: the whole state of one queue for code that may block, in any thread and with or without an event loop."""

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from runner.connection import DirectClient, RedisClient
from runner.jobs import JobStatus
from runner.settings import Settings
from runner.store.job_store import JobStore
from runner.store.portions import portions
from runner.store.statuses import Depth

T = TypeVar("T")


class DirectStore(JobStore):
    """Its methods are coroutines that never wait: `done` gives what one returns. For tests; a service would stand still meanwhile."""

    def __init__(self, url: str, queue: str, settings: Settings) -> None:
        super().__init__(url, queue, settings)
        self.redis = self._blocking = cast("RedisClient", DirectClient(url, timeout_s=settings.command_timeout_s))

    def jobs(self, depth: Depth = Depth.full) -> list[JobStatus]:
        """Every job of the queue in the order of submission, tickets excepted: it goes through all keys of the server."""
        ids = [job_id for job_id in done(self.job_ids()) if not job_id.startswith("take:")]
        found = [status for status in done(self.get(ids, depth)) if status is not None]
        return sorted(found, key=lambda status: (status.submitted_at or 0.0, status.id))

    def wipe(self) -> None:
        """Delete the queue."""
        keys = [key for key in done(self.all_keys()) if key.startswith(self.keys.prefix.encode())]
        for part in portions(keys):
            done(self.redis.execute_command("UNLINK", *part))


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits. Raises what it raises."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError(f"{coroutine} waits for an event loop")
