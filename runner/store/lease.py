"""LeaseStore: what the heartbeat thread of a worker asks of Redis, on a connection of its own."""

from collections.abc import Sequence

from runner.clock import microseconds
from runner.connection import command_in_thread, connect_in_thread, located, translated_errors
from runner.jobs import StartedJob
from runner.settings import Settings
from runner.store import failpoints, replies, scripts
from runner.store.keys import Keys

_HEARTBEAT = scripts.load("heartbeat")
_MARGIN_S = 1.0


class LeaseStore:
    """The lease of one worker. Its calls block, and may run an event loop to find the server: call them only where no loop runs."""

    def __init__(self, url: str, queue: str, settings: Settings) -> None:
        self._keys = Keys(queue)
        self._settings = settings
        self._redis = connect_in_thread(located(url, self._keys.prefix), timeout_s=settings.renew_s + _MARGIN_S)
        failpoints.arm_in_thread(settings.failpoints, self._redis)

    def renew(self, worker: str, stuck: int = 0, stopping: Sequence[StartedJob] = ()) -> list[str]:
        """Hold the lease for another `lease_s`; the ids of running jobs that were cancelled. Raises `LeaseLost`, `StoreUnavailable`.

        Handlers that go on though they were told to stop take `stuck` slots; `stopping` are their jobs, as far as the worker knows them.
        """
        rest: list[scripts.Argument] = [part for job in stopping for part in (job.id, job.attempt)]
        lease_us = microseconds(self._settings.lease_s)
        with translated_errors():
            status, *cancelled = _HEARTBEAT.run_in_thread(
                self._redis, self._keys.prefix, rest, now_us=0, worker=worker, lease_us=lease_us, enlist=0, details="", stuck=stuck
            )
        replies.check_lease(worker, status)
        return [job_id.decode() for job_id in cancelled]

    def wait_for_message(self, worker: str) -> None:
        """Wait until a running job of this worker is cancelled, or until it is time to renew."""
        with translated_errors():
            command_in_thread(self._redis, "BLPOP", self._keys.inbox(worker), f"{self._settings.renew_s:.3f}")

    def close(self) -> None:
        self._redis.close()
