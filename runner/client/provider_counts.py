"""ProviderCounts: brings what providers say is left of their accounts to Redis, for all jobs of a worker, or all callers, in one call."""

import logging

from typing_extensions import override

from runner.client.relay import Relay
from runner.clock import monotonic_s, wall_us
from runner.errors import StoreUnavailable
from runner.jobs import Attempt, ProviderSays
from runner.store import Claims, Observation

log = logging.getLogger("runner")

PERIOD_S = 0.1
"""Ten calls a second at most, however many answers come: of each bucket the latest."""
_PLENTY = 2
"""What is at least so many times what the bucket can hold lowers nothing."""
_SHOWN_S = 10.0
"""So often it is sent all the same, for those who look."""


class ProviderCounts(Relay):
    """What was told here and is not sent yet: of each bucket the last word. Words are lost with their process."""

    def __init__(self, store: Claims) -> None:
        super().__init__(PERIOD_S)
        self._store = store
        self._due: dict[str, tuple[Observation, int | None]] = {}
        self._sent_s: dict[str, float] = {}

    def note(self, attempt: Attempt, bucket: str, said: ProviderSays) -> None:
        """Send this, soon, unless it can change nothing. Any thread may call it."""
        limits = attempt.task.limits if attempt.task is not None else ()
        most = max((limit.capacity for limit in limits if limit.name == bucket.partition("/")[0]), default=said.left)
        self.note_word(Observation(bucket, attempt.job.id, attempt.job.attempt, said.left), said.resets_us, most)

    def note_word(self, word: Observation, resets_us: int | None, most: int) -> bool:
        """The same of any call. most: of its bucket. Whether it will be sent."""
        if word.left >= _PLENTY * most and monotonic_s() - self._sent_s.get(word.bucket, -_SHOWN_S) < _SHOWN_S:
            return False
        self._due[word.bucket] = word, resets_us
        self._wake()
        return True

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
