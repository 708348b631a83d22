"""The player of pauses: of a task, a pool, a value of a key and the whole queue, each for a moment. Nothing of it starts meanwhile."""

import asyncio
from functools import partial
from typing import Any, NamedTuple

from runner import Runner, TokenBucket
from runner.jobs import PausableName
from tests.chaos.campaign.asking import now_us
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage
from tests.chaos.campaign.players.pools import SIDE

VALUES = TokenBucket("values", rate="50/s", burst=20, key="{value}")
_VALUES = 3
_LONGEST_S = 20.0
"""A pause that nobody ends, as the campaign breaks off, is over by itself."""
_A_LOAD = 12
PLAIN, LIMITED, OF_POOL = "pausable", "keyed_pausable", "pausable_apart"


def declare(runner: Runner[Any], play: Play, _: int) -> None:
    @runner.task
    async def pausable(number: int, value: str) -> int:
        with play():
            return number

    @runner.task(limits=[VALUES])
    async def keyed_pausable(number: int, value: str) -> int:
        with play():
            return number

    @runner.task(limits=[VALUES])
    async def pausable_apart(number: int, value: str) -> int:
        with play():
            return number


class Paused(NamedTuple):
    """A pause: from its answer to the moment at which its end was asked for, by Redis's clock."""

    what: PausableName
    name: str
    from_us: int
    until_us: int


class Load(NamedTuple):
    """Which pauses a job is concerned by: its task, its value, its pool."""

    task: str
    value: str
    pool: str

    def is_of(self, pause: Paused) -> bool:
        """Whether the pause stops it."""
        mine = {"queue": "", "task": self.task, "pool": self.pool, "key": f"{VALUES.name}/{self.value}" if self.task != PLAIN else None}
        return mine[pause.what] == pause.name


class Pauses(Player):
    """From the answer of a pause to its end nothing of it starts; all of it has ended at the end."""

    NAME = "pauses"
    PAUSE_S = 2.0

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.loads: dict[str, Load] = {}
        self.pauses: list[Paused] = []

    async def act(self, number: int) -> None:
        draw = self.draw
        await self._submit(number)
        what: PausableName = draw.choice(["task", "task", "key", "pool", "queue"])
        names = {"queue": "", "task": draw.choice([PLAIN, LIMITED]), "pool": SIDE, "key": f"{VALUES.name}/v{draw.randrange(_VALUES)}"}
        control, name = self.app.client.pauses, names[what]
        await self.ask(lambda: control.pause(what, name, "a moment", duration=_LONGEST_S))
        from_us = await now_us(self.stage.redis)
        await asyncio.gather(self._submit(number + 500_000), asyncio.sleep(draw.uniform(0.2, 0.7 if what == "queue" else 3.0)))
        until_us = await now_us(self.stage.redis)
        await self.ask(lambda: control.resume(what, name))
        if until_us - from_us < (_LONGEST_S - 1) * 1_000_000:
            self.pauses.append(Paused(what, name, from_us, until_us))
        self.figures[f"of a {what}"] += 1

    async def _submit(self, number: int) -> None:
        app, jobs = self.any_app(), []
        for each in range(_A_LOAD):
            task, value = self.draw.choice([PLAIN, LIMITED, OF_POOL]), f"v{self.draw.randrange(_VALUES)}"
            job, pool = f"pauses-{number}-{each}", SIDE if task == OF_POOL else "default"
            self.loads[job] = Load(task, value, pool)
            chosen = app.tasks[task].with_options(id=job, delay=self.draw.choice([None, None, 0.5]), pool=pool if pool == SIDE else None)
            jobs.append(chosen.prepare(number=each, value=value))
        await self.submit(app, jobs)

    async def finish(self) -> None:
        for pause in await self.stage.watcher.pauses.list():
            await self.ask(partial(self.stage.watcher.pauses.resume, pause.what.value, pause.name))

    async def findings(self) -> dict[str, list[str]]:
        wrong = Findings()
        wrong["started in a pause"] = [
            f"attempt {start.attempt} of {job} ({load.task}, {load.value}) started {(start.at_us - pause.from_us) / 1000:.0f} ms into the"
            f" {(pause.until_us - pause.from_us) / 1000:.0f} ms for which {pause.what} {pause.name} was paused"
            for pause in self.pauses
            for job, load in self.loads.items()
            if load.is_of(pause)
            for start in self.stage.diary.starts[job]
            if pause.from_us < start.at_us < pause.until_us
        ]
        return wrong
