"""The player of what stands around a handler: hooks and dependencies that raise, deadlines, progress, short lives of results, children."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from runner import Backoff, Depends, Runner, current_job, injected
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage

SOON = Backoff(base=0.1, cap=0.3)
DEADLINE_S = 3.0
BRIEF_S = 5.0
ALL_TOLD = (5, 5)
"""The last word of a job about its progress."""
_KINDS = ("depending", "hooked", "hopeless", "telling", "brief", "computing", "computing")


async def _reluctant() -> AsyncIterator[int]:
    """Raises in the first attempt, before the handler, and in the second one after it."""
    attempt = current_job().attempt
    if attempt == 1:
        raise RuntimeError("as planned")
    yield attempt
    if attempt == 2:
        raise RuntimeError("as planned")


Reluctant = Annotated[int, Depends(_reluctant)]


def declare(runner: Runner[Any], play: Play, _: int) -> None:
    @runner.task(retries=5, backoff=SOON)
    async def depending(number: int, *, attempt: Reluctant = injected) -> int:
        with play():
            return number

    @runner.task
    async def hooked(number: int) -> int:
        with play():
            return number

    def raises(_: object) -> None:
        raise RuntimeError("as planned")

    hooked.on_submit(raises)
    hooked.on_finish(raises)

    @runner.task(retries=None, backoff=SOON, deadline=DEADLINE_S)
    async def hopeless(number: int) -> None:
        with play():
            raise RuntimeError("as planned")

    hopeless.on_failure(raises)
    hopeless.on_dead_letter(raises)

    @runner.task
    async def telling(number: int) -> int:
        with play():
            for done in range(ALL_TOLD[0]):
                current_job().progress(done, ALL_TOLD[1])
                await asyncio.sleep(0.05)
            current_job().progress(*ALL_TOLD)
            return number

    @runner.task(result_ttl=BRIEF_S)
    async def brief(number: int) -> int:
        with play():
            return number

    @runner.task(executor="process", retries=20, backoff=SOON)
    def computing(number: int) -> int:
        with play():
            until_s = time.monotonic() + 0.05 * (number % 5)
            while time.monotonic() < until_s:
                pass
            return number


class Handlers(Player):
    """Errors of hooks change nothing, those of dependencies are failed attempts; deadlines end jobs, results live as long as they say."""

    NAME = "handlers"
    PAUSE_S = 0.4

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.task_of: dict[str, str] = {}

    async def act(self, number: int) -> None:
        app, task, job = self.any_app(), _KINDS[number % len(_KINDS)], f"handlers-{number}"
        self.task_of[job] = task
        await self.submit(app, [app.tasks[task].with_options(id=job).prepare(number=number)])
        self.figures[task] += 1

    async def findings(self) -> dict[str, list[str]]:
        wrong = Findings()
        for job, task in self.task_of.items():
            end = self.stage.diary.last(job)
            if end is None or end.error == "poison":
                continue
            if task == "hopeless":
                is_right = end.state == "expired" or (end.state == "failed" and end.error in ("DeadlineExceeded", ""))
                if end.submitted_us is not None and end.state == "expired":
                    early_ms = (end.submitted_us - end.at_us) / 1_000 + DEADLINE_S * 1_000
                    wrong["handlers"] += [f"{job} expired {early_ms:.0f} ms before its deadline"] if early_ms > 1 else []
            else:
                is_right = end.state == "succeeded"
            if not is_right:
                wrong["handlers"].append(f"{job} ({task}) is {end.state}: {end.error}")
            if task == "depending" and end.attempt < 3:
                wrong["handlers"].append(f"{job} succeeded at attempt {end.attempt}, though its dependency raised in the first two")
            if task == "telling" and end.submitted_us is not None and end.progress != ALL_TOLD:
                wrong["handlers"].append(f"{job} has told of its progress last: {end.progress}, not {ALL_TOLD}")
            if task == "brief" and end.kept_ms is not None and end.kept_ms > BRIEF_S * 1_000:
                wrong["kept too long"].append(f"{job} is kept for {end.kept_ms} ms more, and was to be kept for {BRIEF_S:g} s")
        return wrong
