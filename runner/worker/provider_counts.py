"""ProviderCounts: brings what providers say is left of their accounts to Redis, for all jobs of a worker in one call."""

import logging

from typing_extensions import override

from runner.clock import monotonic_s, wall_us
from runner.errors import StoreUnavailable
from runner.jobs import Attempt, ProviderSays
from runner.store import Claims, Observation
from runner.worker.relay import Relay

log = logging.getLogger("runner")

PERIOD_S = 0.1
"""Ten calls a second at most, however many answers come: of each bucket the latest."""
_PLENTY = 2
"""What is at least so many times what the bucket can hold lowers nothing."""
_SHOWN_S = 10.0
"""So often it is sent all the same, for those who look."""


class ProviderCounts(Relay):
    """What one worker was told and has not sent yet: of each bucket the last word. Words are lost with their worker."""

    def __init__(self, store: Claims) -> None:
        super().__init__(PERIOD_S)
        self._store = store
        self._due: dict[str, tuple[Observation, int | None]] = {}
        self._sent_s: dict[str, float] = {}

    def note(self, attempt: Attempt, bucket: str, said: ProviderSays) -> None:
        """Send this, soon, unless it can change nothing. Any thread may call it."""
        left, resets_us = said
        now_s = monotonic_s()
        limits = attempt.task.limits if attempt.task is not None else ()
        most = max((limit.capacity for limit in limits if limit.name == bucket.partition("/")[0]), default=left)
        if left >= _PLENTY * most and now_s - self._sent_s.get(bucket, -_SHOWN_S) < _SHOWN_S:
            return
        self._due[bucket] = Observation(bucket, attempt.job.id, attempt.job.attempt, left), resets_us
        self._wake()

    @override
    async def _send(self) -> None:
        due, now_us = [self._due.pop(bucket) for bucket in list(self._due)], wall_us()
        words = [word if resets_us is None else word._replace(resets_in_us=max(resets_us - now_us, 0)) for word, resets_us in due]
        try:
            await self._store.observe(words)
        except StoreUnavailable:
            return  # what is told next is newer
        now_s = monotonic_s()
        self._sent_s = {bucket: at_s for bucket, at_s in self._sent_s.items() if now_s - at_s < _SHOWN_S}
        self._sent_s |= {word.bucket: now_s for word in words}

    @override
    def _log_refusal(self, error: Exception) -> None:
        log.warning("Redis refuses what providers say is left: %s", error)
