"""LeaseStore: what the heartbeat thread of a worker asks of Redis, on a connection of its own."""

from collections.abc import Sequence

from runner.clock import microseconds
from runner.connection import command_in_thread, connect_in_thread, located, translated_errors
from runner.jobs import StartedJob
from runner.settings import Settings
from runner.store import failpoints, scripts
from runner.store.call_watch import NoteCall, watch_calls_in_thread
from runner.store.claimed import check_lease
from runner.store.keys import Keys
from runner.store.portions import portions
from runner.store.text import decoded

_MARGIN_S = 1.0
_NOT_ASKED = -1


class LeaseStore:
    """The lease of one worker. Its calls block, and may run an event loop to find the server: call them only where no loop runs."""

    def __init__(self, url: str, queue: str, settings: Settings) -> None:
        self._keys = Keys(queue)
        self._settings = settings
        self._redis = connect_in_thread(located(url, self._keys.prefix), timeout_s=settings.renew_s + _MARGIN_S)
        failpoints.arm_in_thread(settings.failpoints, self._redis)
        self._told: set[tuple[str, int]] = set()
        """Attempts that should have stopped, as Redis knows them already."""

    def watch_calls(self, note: NoteCall) -> None:
        """Tell of each call from now on, in the thread that makes it: its name, its seconds, and what it raised."""
        watch_calls_in_thread(note, self._redis)

    def renew(self, worker: str, stuck: int = 0, stopping: Sequence[StartedJob] = (), defects: int = 0, vitals: str = "") -> list[str]:
        """Hold the lease for another `lease_s`; the ids of running jobs that were cancelled. Raises `LeaseLost`, `StoreUnavailable`.

        Handlers that go on though they were told to stop take `stuck` slots; `stopping` are their jobs, as far as the worker knows them.
        defects: errors of its own that the worker has met. vitals: JSON for people, how its process is.
        """
        told = [(job.id, job.attempt) for job in stopping]
        said: dict[str, scripts.Argument] = {"stuck": stuck, "defects": defects, "vitals": vitals}
        *portions_before, last = list(portions(attempt for attempt in told if attempt not in self._told)) or [()]
        for portion in portions_before:
            self._renew(worker, said, portion, _NOT_ASKED)
        cursor, cancelled = self._renew(worker, said, last, 0)
        self._told = set(told)
        while cursor:
            cursor, more = self._renew(worker, said, (), cursor)
            cancelled += more
        return [decoded(job_id) for job_id in cancelled]

    def _renew(
        self, worker: str, said: dict[str, scripts.Argument], stopping: Sequence[tuple[str, int]], cancelled_from: int
    ) -> tuple[int, list[bytes]]:
        """One call: what the next one passes to learn of more cancelled jobs (0: it is not needed), and the ids of some."""
        rest: list[scripts.Argument] = [part for attempt in stopping for part in attempt]
        lease_us = microseconds(self._settings.lease_s)
        with translated_errors():
            status, *answer = scripts.load("heartbeat").run_in_thread(
                self._redis,
                self._keys.prefix,
                rest,
                now_us=0,
                worker=worker,
                lease_us=lease_us,
                enlist=0,
                details="",
                serves="",
                pools="",
                cancelled_from=cancelled_from,
                **said,
            )
        check_lease(worker, status)
        return int(answer[0]), answer[1:]

    def wait_for_message(self, worker: str) -> None:
        """Wait until a running job of this worker is cancelled, or until it is time to renew."""
        with translated_errors():
            command_in_thread(self._redis, "BLPOP", self._keys.inbox(worker), f"{self._settings.renew_s:.3f}")

    def close(self) -> None:
        self._redis.close()
