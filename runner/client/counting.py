"""Counting: what providers say to code without a job, told to Redis by the session of its event loop."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from runner.client.homes import Homes
from runner.client.provider_counts import ProviderCounts
from runner.errors import ConfigurationError, RunnerError
from runner.jobs import Taken, said_of
from runner.limits import Limit, Need
from runner.store import Decision, Limits, Observation

log = logging.getLogger("runner")

_AGAIN_S = 1.0


class Counting:
    """Sends nothing, and runs nothing, until the first word. Words that are not sent yet are lost when the session is closed."""

    def __init__(self, store: Limits, homes: Homes) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts = ProviderCounts(store)
        self._counts.homes = homes
        self._sending: asyncio.Task[None] | None = None

    def taken(self, needs: Sequence[Need], limits: Mapping[str, Limit], decision: Decision, *, is_named: bool = False) -> Taken:
        """What a caller has whose tokens were taken by this decision. is_named: it has to say of which limit a provider tells."""
        buckets = {need.limit: need.bucket for need in needs}

        def tell(name: str, said: object, counter: str | None) -> int | None:
            if (why := limits[name].why_not_lowered) is not None:
                raise ConfigurationError(f"no provider's count lowers limit {name!r}: {why}")
            found = said_of(buckets[name], said, counter, f"a call that took tokens of {name}")
            if found is None:
                return None
            word = Observation(buckets[name], "", 0, found.left, started_us=decision.at_us, levels=decision.levels)
            self._note(word, found.resets_us, limits[name])
            return found.left

        return Taken(buckets, tell, is_named=is_named)

    async def close(self) -> None:
        """Send no more."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def _note(self, word: Observation, resets_us: int | None, limit: Limit) -> None:
        if not self._loop.is_closed() and self._counts.note_word(word, resets_us, limit):
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="provider counts")

    async def _send(self) -> None:
        while True:
            try:
                await self._counts.run()
            except RunnerError as error:
                log.warning("what providers say is left is not told: %s", error)
            await asyncio.sleep(_AGAIN_S)
