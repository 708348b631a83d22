"""ProviderCounts: brings what providers say is left of their accounts to Redis, for all jobs of a worker, or all callers, in one call."""

import logging
from typing import NamedTuple

from typing_extensions import override

from runner.client.homes import Homes
from runner.client.readings import Reading, Readings
from runner.client.relay import Relay
from runner.clock import MICROSECONDS, monotonic_s, wall_us
from runner.errors import StoreUnavailable
from runner.jobs import Attempt, ProviderSays
from runner.limits import Limit, limit_name
from runner.store import Limits, Observation

log = logging.getLogger("runner")

PERIOD_S = 0.1
"""Ten calls a second at most, however many answers come: of each bucket the latest."""
_PLENTY = 2
"""What is at least so many times what the bucket can hold lowers nothing."""
_SHOWN_S = 10.0
"""So often it is sent all the same, for those who look."""


class _Due(NamedTuple):
    """A word that is not sent yet. limit: what is declared, None if that is not at hand."""

    word: Observation
    resets_us: int | None
    limit: Limit | None


class ProviderCounts(Relay):
    """What was told here and is not sent yet: of each bucket the last word. Words are lost with their process."""

    homes: Homes | None = None
    """Where those hear it that have limits which several queues share."""

    def __init__(self, store: Limits) -> None:
        super().__init__(PERIOD_S)
        self._store = store
        self._due: dict[str, _Due] = {}
        self._sent_s: dict[str, float] = {}
        self._readings = Readings()

    def note(self, attempt: Attempt, bucket: str, said: ProviderSays) -> None:
        """Send this, soon, unless it can change nothing. Any thread may call it."""
        name, limits = limit_name(bucket), attempt.task.limits if attempt.task is not None else ()
        limit = next((limit for limit in limits if limit.name == name), None)
        self.note_word(Observation(bucket, attempt.job.id, attempt.job.attempt, said.left), said.resets_us, limit)

    def note_word(self, word: Observation, resets_us: int | None, limit: Limit | None) -> bool:
        """The same of any call. Whether it will be sent."""
        most = word.left if limit is None else limit.capacity
        if word.left >= _PLENTY * most and monotonic_s() - self._sent_s.get(word.bucket, -_SHOWN_S) < _SHOWN_S:
            return False
        self._due[word.bucket] = _Due(word, resets_us, limit)
        self._wake()
        return True

    @override
    async def _send(self) -> None:
        dues, now_us, now_s = [self._due.pop(bucket) for bucket in list(self._due)], wall_us(), monotonic_s()
        words = [word if resets_us is None else word._replace(resets_in_us=max(resets_us - now_us, 0)) for word, resets_us, _ in dues]
        try:
            heard = await self._store.observe(words)
            for word, due, one in zip(words, dues, heard, strict=True):
                if due.limit is not None and due.limit.shared is not None and one.ago_us is not None:
                    await self._tell_home(due.limit, word, now_s - one.ago_us / MICROSECONDS)
        except StoreUnavailable:
            return  # what is told next is newer
        now_s = monotonic_s()
        self._sent_s = {bucket: at_s for bucket, at_s in self._sent_s.items() if now_s - at_s < _SHOWN_S}
        self._sent_s |= {word.bucket: now_s for word in words}

    async def _tell_home(self, limit: Limit, word: Observation, began_s: float) -> None:
        """By what all queues had used when the call began: as its home said last before that. The first word only asks for it."""
        if self.homes is None:
            return
        known = self._readings.before(word.bucket, began_s)
        start = (-1, "") if known is None else (known.at_us, known.levels)
        home = await self.homes.of(limit) if known is None else self.homes.opened(limit)
        (heard,) = await home.observe([word._replace(started_us=start[0], levels=start[1])])
        self._readings.add(word.bucket, Reading(monotonic_s(), heard.at_us, heard.levels))

    @override
    def _log_refusal(self, error: Exception) -> None:
        log.warning("Redis refuses what providers say is left: %s", error)
