"""Claims: what a worker does with jobs: it claims them, brings back what its attempts came to, and gives back what it does not run."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from runner.clock import microseconds, milliseconds
from runner.jobs import Outcome, Priority, StartedJob
from runner.store import replies, scripts
from runner.store.answers import FinishAnswer
from runner.store.keys import GROUP
from runner.store.queue import QueueStore, run_length_encoded


class Look(IntEnum):
    """Whether a claim looks at the wakes, to start waiting jobs whose tokens have landed."""

    no = 0
    yes = 1
    if_idle = 2
    """If the blocking read before the claim returned nothing."""


class ClaimRequest(NamedTuple):
    """What a worker asks for with a claim: `free` slots to fill.

    First with the `held` entries, which Redis has delivered to this worker already; then, with `read_more`, with what is on the
    streams: `owed` jobs of priority normal and low come before the order of priorities. `alone` says that the worker runs nothing:
    only then does the claim start a job that has lost all but the last of `max_crashes` workers.
    """

    free: int
    held: Sequence[replies.HeldEntry] = ()
    owed: tuple[int, int] = (0, 0)
    look: Look = Look.yes
    read_more: bool = False
    alone: bool = False


class Claims(QueueStore):
    """The role of a worker under its lease."""

    async def enlist(self, worker: str, details: str) -> None:
        """Make a worker known: it holds a lease from now on. `details` is JSON for people."""
        await self._run("heartbeat", worker=worker, lease_us=microseconds(self.settings.lease_s), enlist=1, details=details, stuck=0)

    async def claim(self, worker: str, request: ClaimRequest) -> replies.Claimed:
        """Start jobs with their tokens taken, as many as there are slots for. Raises `LeaseLost`."""
        held: list[scripts.Argument] = [part for entry in request.held for part in entry]
        return replies.claimed(worker, await self._run("claim", held, force=False, **_claim_arguments(worker, request)))

    async def wait_and_claim(
        self, worker: str, request: ClaimRequest, seen: Sequence[bytes], *, block_s: float
    ) -> tuple[list[replies.HeldEntry], replies.Claimed]:
        """Wait up to `block_s` for ready jobs and start them in one round trip: the entries that the read returned, and what was started.

        The request is sent before the read has replied, so it holds no entries and starts no suspect. It passes `seen`, for each stream
        the latest entry that this worker has seen, and claims everything pending after it.
        """
        # COUNT counts for each stream, so the read asks each for a third of the free slots.
        count = max(request.free // len(Priority), 1)
        read: list[scripts.Argument] = ["XREADGROUP", "GROUP", GROUP, worker, "COUNT", count, "BLOCK", milliseconds(block_s)]
        read += ["STREAMS", *self._streams, ">", ">", ">"]
        arguments = _claim_arguments(worker, request, seen=b" ".join(seen))
        entries, answer = await self._read_and_run(read, "claim", **arguments)
        held = replies.held_entries(entries, self._priority_of)
        if answer is None:
            look = Look.yes if request.look is Look.yes or not held else Look.no
            return held, await self.claim(worker, request._replace(held=held, look=look, read_more=len(held) > 1))
        return held, replies.claimed(worker, answer)

    async def finish(self, worker: str, outcomes: Sequence[Outcome]) -> list[FinishAnswer]:
        """Record what attempts came to, at most 500."""
        words = run_length_encoded(outcomes, Outcome.shared, Outcome.own)
        return replies.finish_answers(await self._run("finish", words, worker=worker))

    async def reconcile(self, worker: str, in_hand: Iterable[StartedJob], *, leave: bool = False) -> int:
        """Give back all that Redis thinks this worker holds except what it has in hand; how many that were. `leave` signs off."""
        rest: list[scripts.Argument] = [part for job in in_hand for part in (job.priority, job.entry)]
        return int(await self._run("reconcile", rest, worker=worker, leave=int(leave)))


def _claim_arguments(worker: str, request: ClaimRequest, seen: bytes = b"") -> dict[str, scripts.Argument]:
    """The request as claim.lua takes it, apart from the held entries."""
    free, _, (normal_owed, low_owed), look, read_more, alone = request
    return {
        "worker": worker,
        "free": free,
        "read_more": int(read_more),
        "look": look.value,
        "seen": seen,
        "normal_owed": normal_owed,
        "low_owed": low_owed,
        "alone": int(alone),
    }
