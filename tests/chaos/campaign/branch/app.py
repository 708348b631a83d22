"""The application of the branch, and its jobs, told by the seed and their numbers alone."""

import random
from pathlib import Path
from typing import Any

from runner import RateLimited, Runner, Settings, Task, TokenBucket, current_job
from tests.chaos.campaign.branch.contract import CONTRACT
from tests.chaos.campaign.calls import FIRST_PROBE, OLD, Call
from tests.chaos.campaign.notes import Notes

BRANCH = "branch"
TOWN = TokenBucket("town", rate="8/s", burst=3)
LIMITS = (CONTRACT, TOWN)
_SHARES = {"errand": 75, "errand_in_town": 15, "errand_put_off": 3, "walk": 7}


def branch_call(seed: int, number: int) -> Call:
    """The job of this number."""
    draw = random.Random(f"{seed} branch {number}")
    if number >= FIRST_PROBE:
        return Call("errand", {"number": number, "tokens": 1}, {"priority": "high"})
    task = draw.choices(list(_SHARES), weights=list(_SHARES.values()))[0]
    tokens = {"tokens": draw.choice([1, 1, 1, 2, 3])} if task == "errand" else {}
    return Call(task, {"number": number, **tokens}, {"priority": draw.choice(["high", "normal", "normal"])}, OLD)


class BranchWork:
    """A Runner with the tasks of the branch. A worker's process gives the file for its notes."""

    def __init__(self, url: str, notes: Path | None, **settings: Any) -> None:
        self.runner = Runner(BRANCH, settings=Settings.model_validate({"redis_url": url, **settings}))
        run, task = Notes(notes).run_of(OLD), self.runner.task

        @task(limits=[CONTRACT], cost={"contract": "tokens"})
        async def errand(number: int, tokens: int) -> None:
            with run(number):
                pass

        @task(limits=[CONTRACT, TOWN])
        async def errand_in_town(number: int) -> None:
            with run(number):
                pass

        @task(limits=[CONTRACT])
        async def errand_put_off(number: int) -> None:
            with run(number):
                if current_job().attempt == 1:
                    raise RateLimited("contract", retry_after=0.2)

        @task
        async def walk(number: int) -> None:
            with run(number):
                pass

    def task(self, name: str) -> Task[..., Any]:
        return self.runner.tasks[name]
