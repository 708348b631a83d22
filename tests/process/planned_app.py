"""An app with what one job has to do with another: schedules, unique jobs, flows, and a task that is paused."""

import asyncio
import random
from pathlib import Path

from runner import Unique, current_job
from tests.process.apps import App


class PlannedApp(App):
    """Its schedules are called as their policies are: of what overlaps, and of what was missed."""

    def __init__(self, url: str, queue: str, folder: Path, **settings: object) -> None:
        super().__init__(url, queue, folder, **settings)
        task = self.runner.task

        @self.runner.every(1, name="skip", args={"most_s": 1.5})
        @self.runner.every(1, name="queue", args={"most_s": 1.5}, overlap="queue")
        @self.runner.every(1, name="allow", args={"most_s": 1.5}, overlap="allow", missed="all", jitter=0.3)
        @task
        async def beat(most_s: float) -> None:
            await asyncio.sleep(random.uniform(0, most_s))

        @task(retries=0)
        async def leaf(number: int, fails: bool = False) -> int:
            self._note(number)
            if fails:
                raise RuntimeError("as planned")
            return number

        @task(retries=0)
        async def join(number: int) -> list[str]:
            self._note(number)
            return [str(parent.state) for parent in await current_job().parents()]

        @task(unique=Unique("{mark}", until="start", duplicate="replace"))
        async def newest(mark: str, number: int) -> int:
            self._note(number)
            return number

        @task(unique="{mark}")
        async def alone(mark: str, number: int) -> int:
            self._note(number)
            return number

        self.beat, self.leaf, self.join, self.newest, self.alone = beat, leaf, join, newest, alone
