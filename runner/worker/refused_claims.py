"""RefusedClaims: the net under the claimer. What this worker holds and cannot start goes to another worker, or becomes a dead letter."""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence

from runner.clock import monotonic_s
from runner.errors import ClaimRefused
from runner.foreign import indented, kind_of, text_of
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Claimed, Claims, Declined, HeldEntry, decoded
from runner.traces import trace_of
from runner.worker.active_jobs import ActiveJobs
from runner.worker.recovery import Recovery
from runner.worker.redis_pause import EXPECTED

log = logging.getLogger("runner")


Start = Callable[[Sequence[HeldEntry]], Awaitable[None]]
"""Claims these entries and nothing else, and begins what that starts."""


class RefusedClaims:
    """The entries that one worker is to decline, and what it does when Redis refuses a claim. It uses the claimer's own means: `start`."""

    def __init__(self, store: Claims, worker: str, active_jobs: ActiveJobs, recovery: Recovery, start: Start) -> None:
        self._store = store
        self._worker = worker
        self._active_jobs = active_jobs
        self._recovery = recovery
        self._start = start
        self._noted: list[Declined] = []
        self._said = LogThrottle(A_MINUTE_S)

    def note(self, claimed: Claimed) -> None:
        """A claim has returned, with entries among others that this worker does not start."""
        self._noted += [Declined(held) for held in claimed.unserved]
        self._noted += [Declined(held, is_busy=True) for held in claimed.busy]
        self._noted += [self._condemned(held, "its id is no text in UTF-8") for held in claimed.unreadable]

    async def decline_noted(self) -> None:
        """Let go of what was noted. Raises `StoreUnavailable`: then it is given back like all that this worker does not run."""
        while self._noted:
            noted, self._noted = self._noted, []
            answers = await self._store.decline(self._worker, noted)
            self._noted += [self._condemned(noted[at].held, why) for at, why in answers.refusals.items() if not noted[at].error]

    async def sort_out(self, refusal: Exception) -> bool:
        """After a claim that was refused as a whole: claim its entries one by one, so that only those end that are at fault.

        Whether there was one. Raises `LeaseLost`, `StoreUnavailable`.
        """
        self._active_jobs.defects += 1
        if self._said.is_due(monotonic_s()):
            log.critical("Redis refuses a claim, so its jobs are claimed one by one; please report it:\n%s", indented(trace_of(refusal)))
        condemned: list[Declined] = []
        async with self._recovery.exclusive:
            known = {(job.stream, job.entry) for job in self._active_jobs.unconfirmed}
            for held in await self._store.held(self._worker):
                if held[:2] in known or (why := await self._refusal_of([held])) is None:
                    continue
                if await self._refusal_of(()) is not None:
                    break  # Redis refuses whatever is claimed: no entry is at fault
                condemned.append(self._condemned(held, why))
            await self._store.decline(self._worker, condemned)
        # Some may run in Redis without this worker knowing of them: by the claim that was refused.
        await self._recovery.reconcile()
        return bool(condemned)

    async def _refusal_of(self, held: Sequence[HeldEntry]) -> str | None:
        try:
            await self._start(held)
        except EXPECTED:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one entry must not end the worker
            return f"{kind_of(error)}: {text_of(error)}"
        return None

    def _condemned(self, held: HeldEntry, why: str) -> Declined:
        log.error("job %s cannot be started, so it becomes a dead letter: %s", decoded(held[2]), why)
        return Declined(held, json.dumps({"type": ClaimRefused.__name__, "message": f"it cannot be started: {why}"}).encode())
