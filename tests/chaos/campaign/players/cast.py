"""The cast of a campaign: all its players, what they declare, and their accounts."""

import asyncio
from typing import Any

from runner import Limit, Runner
from tests.chaos.campaign.players import bulk, flows, handlers, pauses, pools, schedules, unique
from tests.chaos.campaign.players.bulk import Bulks
from tests.chaos.campaign.players.flows import Flows
from tests.chaos.campaign.players.handlers import Handlers
from tests.chaos.campaign.players.history import History
from tests.chaos.campaign.players.pauses import Pauses
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage
from tests.chaos.campaign.players.pools import Pools
from tests.chaos.campaign.players.schedules import Schedules
from tests.chaos.campaign.players.unique import UniqueJobs

PLAYERS: dict[str, type[Player]] = {
    player.NAME: player for player in (Schedules, UniqueJobs, Flows, Pools, Pauses, Bulks, Handlers, History)
}
LIMITS: tuple[Limit, ...] = (unique.CALM, pools.TURNS, pauses.VALUES)


def declare(runner: Runner[Any], play: Play, version: int) -> None:
    """The tasks and schedules of all of them, in a version of the application."""
    for player in (schedules, unique, flows, pools, pauses, bulk, handlers):
        player.declare(runner, play, version)


class Cast:
    """The players of one campaign."""

    def __init__(self, stage: Stage, names: frozenset[str]) -> None:
        self.players = [player(stage) for name, player in PLAYERS.items() if name in names]
        self._broken = Findings()

    async def run(self) -> None:
        """All of them, until the time is up."""
        async with asyncio.TaskGroup() as group:
            for player in self.players:
                group.create_task(self._run(player))

    async def _run(self, player: Player) -> None:
        try:
            await player.run()
        except Exception as error:  # noqa: BLE001 - the others play on, and the report tells of it
            self._broken["player"].append(f"{player.NAME} was broken off: {error!r}")

    async def finish(self) -> None:
        """Nothing is paused or planned any more."""
        for player in self.players:
            await player.finish()

    async def findings(self) -> dict[str, list[str]]:
        """The accounts of all of them; afterwards nothing is left of their jobs but what ages out soon."""
        wrong = Findings()
        for player in self.players:
            for what, found in (await player.findings()).items():
                wrong[what] += found
        for player in self.players:
            await player.forget()
        return {**wrong, **self._broken}

    @property
    def figures(self) -> dict[str, dict[str, int]]:
        """What each of them did."""
        return {player.NAME: dict(player.figures) for player in self.players}
