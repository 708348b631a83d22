"""An app with so many tasks and limits that it takes several calls to publish them and to say what its workers serve."""

from pathlib import Path

from runner import TokenBucket
from tests.process.apps import App

TASKS = [f"wide-{number}" for number in range(130)]
WIDE_LIMITS = [TokenBucket(f"wide-{number}", rate="100/s", burst=5) for number in range(40)]


class WideApp(App):
    """Each of the wide tasks has one of the wide limits."""

    def __init__(self, url: str, queue: str, folder: Path, **settings: object) -> None:
        super().__init__(url, queue, folder, **settings)
        for place, name in enumerate(TASKS):

            @self.runner.task(name=name, limits=[WIDE_LIMITS[place % len(WIDE_LIMITS)]])
            async def wide(number: int) -> int:
                self._note(number)
                return number
