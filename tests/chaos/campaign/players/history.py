"""The player of history: it does nothing, and compares what was counted minute by minute with what the jobs have come to."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from runner.jobs import Series
from tests.chaos.campaign.asking import now_us
from tests.chaos.campaign.players.player import Player, Stage

_A_MINUTE_S = 60.0
_AGAIN_S = 1.0
_COUNTED = ("succeeded", "failed", "cancelled", "expired")


class History(Player):
    """Of each outcome there is one count, whichever leader died while the minutes were summed up."""

    NAME = "history"
    PAUSE_S = 5.0

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._from_us = 0

    async def act(self, number: int) -> None:
        """Look, as an operator does: who reads many minutes moves them."""
        if not self._from_us:
            self._from_us = await now_us(self.stage.redis)
        await self.ask(lambda: self.app.client.history("q", since="5m"))
        self.figures["looks"] += 1

    async def findings(self) -> dict[str, list[str]]:
        series = await self._whole()
        counted: Counter[str] = Counter()
        for row in series.rows:
            counted.update({state: getattr(row, state) for state in _COUNTED})
        self.figures.update(counted)
        return {"history": miscounted(counted, self.stage.states)}

    async def _whole(self) -> Series:
        """Of a minute in which more was counted than one call reads nothing is told before it is over, and was moved."""
        deadline_s = time.monotonic() + 2 * _A_MINUTE_S
        while True:
            (series,) = await self.stage.watcher.history("q", start=self._from_us / 1_000_000 - 10 * _A_MINUTE_S)
            if not series.missing_minutes or time.monotonic() > deadline_s:
                return series
            await asyncio.sleep(_AGAIN_S)


def miscounted(counted: Mapping[str, int], came_to: Mapping[str, int]) -> list[str]:
    """Outcomes of which there are more or fewer counts."""
    return [
        f"{counted.get(state, 0)} jobs are counted as {state}, and {came_to.get(state, 0)} were"
        for state in _COUNTED
        if counted.get(state, 0) != came_to.get(state, 0)
    ]
