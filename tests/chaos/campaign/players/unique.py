"""The player of unique jobs: submissions that are alike, under every kind of mark, by code of both versions; some are cancelled."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

from runner import Debounce, JobHandle, Runner, StoreUnavailable, Task, TokenBucket, Unique
from runner.errors import AlreadyFinished, DuplicateJob, UnknownJob
from runner.jobs import Acceptance
from tests.chaos.campaign.asking import AGAIN_S, now_us
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage

CALM = TokenBucket("calm", rate="20/s", burst=5)
PERIOD_S = 2.0
DELAY_S, MOST_DELAY_S = 0.5, 2.0
_MARKS = 3
_AT_ONCE = ("until_end", "refused", "replaced", "for_a_while", "settled")
_CANCELLED = 0.1
_REFUSED = "refused"


def declare(runner: Runner[Any], play: Play, _: int) -> None:
    async def work(number: int) -> None:
        with play(number):
            await asyncio.sleep(random.uniform(0, 0.8))

    @runner.task(unique="{mark}")
    async def until_end(mark: str, number: int) -> None:
        await work(number)

    @runner.task(limits=[CALM], unique=Unique("{mark}", duplicate="refuse"))
    async def refused(mark: str, number: int) -> None:
        await work(number)

    @runner.task(limits=[CALM], unique=Unique("{mark}", until="start", duplicate="replace"))
    async def replaced(mark: str, number: int) -> None:
        await work(number)

    @runner.task(unique=Unique("{mark}", until=PERIOD_S))
    async def for_a_while(mark: str, number: int) -> None:
        await work(number)

    @runner.task(unique=Debounce("{mark}", delay=DELAY_S, max_delay=MOST_DELAY_S))
    async def settled(mark: str, number: int) -> None:
        await work(number)


class Answer(NamedTuple):
    """What a submission was told: the job that stands for it, and how; `is_repeated` if an answer before it was lost. Times by Redis's clock."""

    number: int
    own: str
    job: str
    said: str
    asked_us: int
    is_repeated: bool


class Lifetime(NamedTuple):
    """From when until when a job has its mark at least."""

    job: str
    from_us: int
    until_us: int


class UniqueJobs(Player):
    """Of the jobs that are alike one at most has not ended, or not started; nobody is sent to a job that has ended; the newest words are said."""

    NAME = "unique"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        """Of each task and mark, in order: nobody else submits under it meanwhile."""
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(len(_AT_ONCE)):
                group.create_task(super().run())

    async def act(self, number: int) -> None:
        number = self.figures["asked"]
        self.figures["asked"] += 1
        task = _AT_ONCE[number % len(_AT_ONCE)]
        mark = f"{task}-{self.draw.randrange(_MARKS)}"
        async with self._turns[mark]:
            handle = await self._submit(self.any_app().tasks[task], task, mark, number)
        if handle is not None and self.draw.random() < _CANCELLED:
            with suppress(AlreadyFinished, UnknownJob):
                await self.ask(handle.cancel)
                self.figures["cancelled"] += 1

    async def _submit(self, task: Task[..., Any], name: str, mark: str, number: int) -> JobHandle[Any] | None:
        own = f"unique-{number}"
        chosen = task.with_options(id=own)
        asked_us, tries = await now_us(self.stage.redis), 0
        handle: JobHandle[Any] | None = None
        while True:
            tries += 1
            try:
                handle = await chosen.submit(mark=mark, number=number)
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
                continue
            except DuplicateJob as error:
                job, said = error.job_id, _REFUSED
            else:
                job, said = handle.id, handle.first_state.value
            break
        if job == own:
            self.stage.diary.accepted.add(own)
            self.figures["jobs"] += 1
        self.figures[said if job != own else "new"] += 1
        self.answers[name, mark].append(Answer(number, own, job, said, asked_us, tries > 1))
        return handle

    async def findings(self) -> dict[str, list[str]]:
        wrong = Findings()
        for (task, mark), answers in self.answers.items():
            jobs = [answer.job for answer in answers if answer.job == answer.own]
            wrong["not unique"] += at_once(mark, [each for job in jobs if (each := self._lifetime(task, job)) is not None])
            wrong["sent to nobody"] += [text for answer in answers if (text := self._sent_to_nobody(task, answer))]
            wrong["old words"] += self._old_words(answers)
        return wrong

    def _lifetime(self, task: str, job: str) -> Lifetime | None:
        diary = self.stage.diary
        end, started_us = diary.last(job), diary.first_start_us(job)
        if end is None or end.submitted_us is None:
            return None
        until_us = end.at_us
        if task in ("replaced", "settled"):
            until_us = min(until_us, started_us if started_us is not None else until_us)
        if task == "for_a_while":
            until_us = max(until_us, end.submitted_us + round(PERIOD_S * 1_000_000))
        return Lifetime(job, end.submitted_us, until_us)

    def _sent_to_nobody(self, task: str, answer: Answer) -> str:
        """Of a submission that was sent to a job which had given its mark back before it was asked."""
        if answer.job == answer.own or answer.is_repeated:
            return ""
        lifetime = self._lifetime(task, answer.job)
        if lifetime is None or answer.asked_us <= lifetime.until_us + 1_000:
            return ""
        return f"{answer.own} was told of {answer.job}, whose mark was over {(answer.asked_us - lifetime.until_us) / 1000:.0f} ms before"

    def _old_words(self, answers: Iterable[Answer]) -> list[str]:
        """Runs that did not have the newest arguments."""
        newest: dict[str, int] = {}
        doubtful: set[int] = set()
        for answer in answers:
            if answer.is_repeated:
                doubtful.add(answer.number)
            if answer.job == answer.own or answer.said == Acceptance.replaced:
                newest[answer.job] = answer.number
        return [
            f"{job} ran with the words of submission {run.words[0]}, and {number} was the newest"
            for job, number in newest.items()
            for run in self.stage.diary.runs[job]
            if int(run.words[0]) not in {number, *doubtful}
        ]


def at_once(mark: str, lifetimes: Iterable[Lifetime]) -> list[str]:
    """Pairs of jobs that had one mark at once."""
    ordered = sorted(lifetimes, key=lambda each: each.from_us)
    return [
        f"{after.job} was accepted {(before.until_us - after.from_us) / 1000:.0f} ms before {before.job} gave back {mark}"
        for before, after in pairwise(ordered)
        if after.from_us < before.until_us
    ]
