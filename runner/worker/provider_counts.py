"""ProviderCounts: brings what providers say is left of their accounts to Redis, for all jobs of a worker in one call."""

import asyncio
import logging

from runner.clock import monotonic_s
from runner.errors import RunnerError, StoreUnavailable
from runner.jobs import Attempt
from runner.log_throttle import A_MINUTE_S, LogThrottle
from runner.store import Claims, Observation

log = logging.getLogger("runner")

PERIOD_S = 0.1
"""Ten calls a second at most, however many answers come: of each bucket the latest."""
_PLENTY = 2
"""What is at least so many times what the bucket can hold lowers nothing."""
_SHOWN_S = 10.0
"""So often it is sent all the same, for those who look."""


class ProviderCounts:
    """What one worker was told and has not sent yet: of each bucket the last word. Words are lost with their worker."""

    def __init__(self, store: Claims) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._due: dict[str, Observation] = {}
        self._sent_s: dict[str, float] = {}
        self._added = asyncio.Event()
        self._refused = LogThrottle(A_MINUTE_S)

    def note(self, attempt: Attempt, bucket: str, left: int) -> None:
        """Send this, soon, unless it can change nothing. Any thread may call it."""
        now_s = monotonic_s()
        limits = attempt.task.limits if attempt.task is not None else ()
        most = max((limit.capacity for limit in limits if limit.name == bucket.partition("/")[0]), default=left)
        if left >= _PLENTY * most and now_s - self._sent_s.get(bucket, -_SHOWN_S) < _SHOWN_S:
            return
        self._due[bucket] = Observation(bucket, attempt.job.id, attempt.job.attempt, left)
        self._loop.call_soon_threadsafe(self._added.set)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            await self._send()
            await asyncio.sleep(PERIOD_S)

    async def _send(self) -> None:
        words = [self._due.pop(bucket) for bucket in list(self._due)]
        try:
            await self._store.observe(words)
        except StoreUnavailable:
            return  # what is told next is newer
        except RunnerError:
            raise
        except Exception as error:  # noqa: BLE001 - what a provider says ends no worker
            if self._refused.is_due(monotonic_s()):
                log.warning("Redis refuses what providers say is left: %s", error)
            return
        now_s = monotonic_s()
        self._sent_s = {bucket: at_s for bucket, at_s in self._sent_s.items() if now_s - at_s < _SHOWN_S}
        self._sent_s |= {word.bucket: now_s for word in words}
