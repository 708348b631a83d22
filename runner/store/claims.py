"""Claims: what a worker does with jobs: it claims them, brings back what its attempts came to, and gives back what it does not run."""

from collections.abc import Iterable, Sequence

from runner.clock import microseconds, milliseconds
from runner.connection import command, translated_errors
from runner.jobs import Outcome, Priority, StartedJob
from runner.store import replies, scripts
from runner.store.keys import GROUP
from runner.store.queue import QueueStore, in_runs

_DO_NOT_LOOK, _LOOK, _LOOK_IF_IDLE = 0, 1, 2
"""Whether a claim looks at the wakes: not, in any case, or if the read before it returned nothing."""


class Claims(QueueStore):
    """The role of a worker under its lease."""

    async def enlist(self, worker: str, details: str) -> None:
        """Make a worker known: it holds a lease from now on. `details` is JSON for people."""
        await self._run("heartbeat", worker=worker, lease_us=microseconds(self.settings.lease_s), enlist=1, details=details, stuck=0)

    async def read(self, worker: str, count: int, block_s: float) -> list[replies.HeldEntry]:
        """Wait up to `block_s` for ready jobs. What comes is held by this worker, not started; the next `claim` starts it."""
        with translated_errors():
            return replies.held_entries(await command(self._patient, *self._blocking_read(worker, count, block_s)), self._priority_of)

    async def claim(
        self,
        worker: str,
        free: int,
        held: Sequence[replies.HeldEntry],
        *,
        read_more: bool,
        look: bool = True,
        owed: tuple[int, int] = (0, 0),
        alone: bool = True,
    ) -> replies.Claimed:
        """Start up to `free` jobs with their tokens taken: the held ones, then what normal and low are `owed`, then in order.

        `alone` says that the worker runs nothing: only then is a job started that has lost all but the last of `max_crashes` workers.
        Raises `LeaseLost`.
        """
        rest: list[scripts.Argument] = [part for entry in held for part in entry]
        look_at = _LOOK if look else _DO_NOT_LOOK
        arguments = self._claim_arguments(worker, free, owed, read_more=read_more, look=look_at, seen="", alone=alone)
        return replies.claimed(worker, await self._run("claim", rest, force=False, **arguments))

    async def wait_and_claim(
        self,
        worker: str,
        free: int,
        seen: Sequence[bytes],
        *,
        block_s: float,
        look: bool = True,
        owed: tuple[int, int] = (0, 0),
    ) -> tuple[list[replies.HeldEntry], replies.Claimed]:
        """Wait up to `block_s` for ready jobs, and start them as `claim` does, in one way there and back; with them, what was read.

        `seen` are the latest entries of each stream that this worker has seen. The wakes are looked at if nothing came, or with `look`.
        A suspect is not started: what else the worker will run by then is not known when this is sent.
        """
        # COUNT counts for each stream, so a third of the free slots is asked of each.
        read = self._blocking_read(worker, max(free // len(Priority), 1), block_s)
        last = b" ".join(seen)
        look_at = _LOOK if look else _LOOK_IF_IDLE
        arguments = self._claim_arguments(worker, free, owed, read_more=False, look=look_at, seen=last, alone=False)
        brought, answer = await self._run_behind(read, "claim", **arguments)
        held = replies.held_entries(brought, self._priority_of)
        if answer is None:
            look, more = look or not held, len(held) > 1
            return held, await self.claim(worker, free, held, read_more=more, look=look, owed=owed, alone=False)
        return held, replies.claimed(worker, answer)

    def _blocking_read(self, worker: str, count: int, block_s: float) -> list[scripts.Argument]:
        read: list[scripts.Argument] = ["XREADGROUP", "GROUP", GROUP, worker, "COUNT", count, "BLOCK", milliseconds(block_s)]
        return [*read, "STREAMS", *self._streams, ">", ">", ">"]

    def _claim_arguments(
        self, worker: str, free: int, owed: tuple[int, int], *, read_more: bool, look: int, seen: bytes | str, alone: bool
    ) -> dict[str, scripts.Argument]:
        return {
            "worker": worker,
            "free": free,
            "read_more": int(read_more),
            "look": look,
            "seen": seen,
            "normal_owed": owed[0],
            "low_owed": owed[1],
            "alone": int(alone),
            "max_crashes": self.settings.max_crashes,
            "record_starts": int(self.settings.record_starts),
        }

    async def finish(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """Record what attempts came to: for each 'accepted', 'repeated' or 'stale'. At most 500."""
        words = in_runs(
            ((job.priority, ending, delay_us, ttl_ms, settled, freeze), (job.entry, job.id, job.attempt, payload))
            for job, ending, payload, delay_us, ttl_ms, settled, freeze in outcomes
        )
        return [answer.decode() for answer in await self._run("finish", words, worker=worker)]

    async def reconcile(self, worker: str, in_hand: Iterable[StartedJob], *, leave: bool = False) -> int:
        """Give back all that Redis thinks this worker holds except what it has in hand; how many that were. `leave` signs off."""
        rest: list[scripts.Argument] = [part for job in in_hand for part in (job.priority, job.entry)]
        return int(await self._run("reconcile", rest, worker=worker, leave=int(leave), result_ttl_ms=self.settings.result_ttl_ms))
