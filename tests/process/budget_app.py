"""An app with a budget whose hook notes in a file what it is told, and can die there."""

import os
import signal
from pathlib import Path

from runner import BudgetWarning, Quota, Runner, Settings
from tests.process.apps import FAST

BUDGET = Quota("usd", 10_00, per="year", unit="USD", scale=2, warn_at=0.8)


class BudgetApp:
    """`dies`: the process is killed within the hook, once it has noted the warning."""

    def __init__(self, url: str, queue: str, folder: Path, *, dies: bool = False, **settings: object) -> None:
        self.runner = Runner(queue, settings=Settings.model_validate({**FAST, "redis_url": url, **settings}))
        self._told = folder / "told"

        @self.runner.task(limits=[BUDGET], cost={"usd": "cents"})
        async def spend(cents: int) -> None:
            """It takes some cents."""

        @self.runner.on_budget
        async def note(warning: BudgetWarning) -> None:
            with self._told.open("a") as file:
                file.write(f"{warning.id}\n")
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def told_of(self) -> list[str]:
        """The warnings that hooks were told, in the order of their calls."""
        return self._told.read_text().split("\n")[:-1] if self._told.exists() else []
