"""The player of acts upon many jobs: waves of jobs under a tag are cancelled, run again, deleted, each by an act of its own."""

import asyncio
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from runner import JobFilter, Runner, RunnerError, StoreUnavailable
from runner.errors import AlreadyFinished
from runner.jobs import BulkStatus
from tests.chaos.campaign.asking import AGAIN_S
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage
from tests.chaos.campaign.posts import KEYS
from tests.eventually import eventually

_PATIENCE_S = 60.0


def declare(runner: Runner[Any], play: Play, _: int) -> None:
    @runner.task(retries=0)
    async def many(number: int) -> None:
        with play():
            raise RuntimeError("as planned")


class Bulks(Player):
    """Each act is done once to each job that was counted; what is deleted is gone."""

    NAME = "bulk"
    PAUSE_S = 3.0

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._wrong = Findings()

    async def act(self, number: int) -> None:
        """Waves of some that wait for an hour and are cancelled, and of some that fail and are run again."""
        jobs, tag = self.draw.randint(20, 90), f"wave{number}"
        waits = number % 2 == 0
        app = self.any_app()
        task = app.tasks["many"]
        names = [f"bulk-{number}-{each}" for each in range(jobs)]
        delay = 3_600.0 if waits else None
        await self.submit(
            app, [task.with_options(id=name, tags=[tag], delay=delay).prepare(number=each) for each, name in enumerate(names)]
        )
        if waits:
            await self._done("cancel", tag, names)
        await self._until_ended(names, 1)
        self.stage.diary.again.update(names)
        await self._done("retry", tag, names)
        await self._until_ended(names, 2)
        if waits:  # they have waited no more, and failed
            self._wrong["bulk"] += [
                f"{name} is {self.stage.diary.state(name)}" for name in names if self.stage.diary.state(name) != "failed"
            ]
        await self._done("delete", tag, names)
        await self._are_gone(names)

    async def _done(self, action: str, tag: str, names: list[str]) -> None:
        """Counted, confirmed and done."""
        bulk_id, bulks = f"{action}-{tag}", self.app.client.bulk
        await self.ask(lambda: bulks.begin(action, JobFilter(tag=tag), reason="a wave", id=bulk_id))
        bulk = await self.ask(lambda: bulks.counted(bulk_id, _PATIENCE_S))
        if bulk.counted != len(names):
            self._wrong["bulk"].append(f"{bulk_id} counted {bulk.counted} of {len(names)} jobs")
        await self._confirm(bulk)
        bulk = await self.ask(lambda: bulks.wait(bulk_id, _PATIENCE_S))
        if (bulk.phase.value, bulk.done, bulk.skipped) != ("done", len(names), 0):
            self._wrong["bulk"].append(f"{bulk_id} is {bulk.phase}: {bulk.done} of {len(names)} done, {bulk.skipped} skipped: {bulk.why}")
        self.figures[action] += 1
        self.figures[f"jobs of a {action}"] += bulk.done

    async def _confirm(self, bulk: BulkStatus) -> None:
        while True:
            try:
                await self.app.client.bulk.confirm(bulk.id, bulk.counted)
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
            except AlreadyFinished:  # an answer was lost
                return
            except RunnerError as error:
                self._wrong["bulk"].append(f"{bulk.id} could not be confirmed: {error}")
                return
            else:
                return

    async def _until_ended(self, names: list[str], times: int) -> None:
        """Until each of them has ended so often, as the ledger reads it."""
        diary = self.stage.diary
        await eventually(lambda: all(len(diary.ends.get(name, ())) >= times for name in names), 3 * _PATIENCE_S)

    async def _are_gone(self, names: list[str]) -> None:
        while True:
            with suppress(RedisError, OSError):
                left = [name for name in names if await self.stage.redis.exists(KEYS.job(name))]
                break
            await asyncio.sleep(AGAIN_S)
        self._wrong["bulk"] += [f"{name} was deleted, and is there" for name in left]

    async def findings(self) -> dict[str, list[str]]:
        return self._wrong
