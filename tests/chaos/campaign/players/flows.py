"""The player of flows: jobs after others under every policy, chains, and batches with a job at their end; failed parents are run again."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

from runner import Backoff, BatchProgress, Runner, RunnerError, StoreUnavailable, UnknownJob, current_job
from runner.jobs import OnFailure
from tests.chaos.campaign.asking import AGAIN_S
from tests.chaos.campaign.players.player import Findings, Play, Player, Stage

_COMES_TO = {"run": "succeeded", "cancel": "cancelled", "fail": "failed"}
_POLICIES: tuple[OnFailure, ...] = ("cancel", "fail", "run")
_ITS_OWN = frozenset({"RuntimeError", "poison"})
"""What a job of a flow can fail with by itself, or as its worker was lost again and again."""
_FAILS = 0.3
_LATER = 4
"""A failed parent is run again so many acts later."""


def declare(runner: Runner[Any], play: Play, _: int) -> None:
    @runner.task(retries=0)
    async def flows_leaf(number: int, fails: bool) -> int:
        with play():
            if fails and current_job().attempt == 1:
                raise RuntimeError("as planned")
            return number

    @runner.task(retries=20, backoff=Backoff(base=0.2, cap=0.5))
    async def flows_join(number: int) -> int:
        parents = await current_job().parents()
        with play(*(parent.state or "unknown" for parent in parents)):
            return number


class Family(NamedTuple):
    """A job and those that it comes after."""

    child: str
    parents: tuple[str, ...]
    policy: OnFailure


class Flows(Player):
    """A job that comes after others runs once, after all of them, or is ended as its policy says; none is held for ever; batches add up."""

    NAME = "flows"
    PAUSE_S = 1.5

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.families: list[Family] = []
        self.batches: dict[str, Family] = {}
        self.run_again: set[str] = set()
        """Jobs that were run again by hand, and those that come after them."""

    async def act(self, number: int) -> None:
        match number % 3:
            case 0:
                await self._join(number)
            case 1:
                await self._chain(number)
            case 2:
                await self._batch(number)
        if number >= _LATER and number % 3 == 0:
            await self._retry(self.draw.choice(self.families[-_LATER:]))

    def _leaves(self, app: Runner[Any], name: str, count: int, *, fails: float) -> list[Any]:
        leaf = app.tasks["flows_leaf"]
        return [
            leaf.with_options(id=f"{name}-{each}", delay=self.draw.choice([None, None, 0.3])).prepare(
                number=each, fails=self.draw.random() < fails
            )
            for each in range(count)
        ]

    async def _join(self, number: int) -> None:
        """Many to one, and one after that; sometimes all in one call."""
        app, draw = self.any_app(), self.draw
        leaves = self._leaves(app, f"flows-{number}", draw.choice([2, 3, 5, 70]), fails=_FAILS if draw.random() < 0.7 else 0.0)
        policy, second = draw.choice(_POLICIES), draw.choice(_POLICIES)
        join = app.tasks["flows_join"]
        child = join.after(*(leaf.id for leaf in leaves), on_failure=policy).with_options(id=f"flows-{number}-join")
        last = join.after(f"flows-{number}-join", on_failure=second).with_options(id=f"flows-{number}-last")
        followers = [child.prepare(number=number), last.prepare(number=number)]
        if len(leaves) < 50 and draw.random() < 0.5:
            await self.submit(app, [*leaves, *followers])
        else:
            await self.submit(app, leaves)
            for follower in followers:
                await self.submit(app, [follower])
        self.families.append(Family(f"flows-{number}-join", tuple(leaf.id for leaf in leaves), policy))
        self.families.append(Family(f"flows-{number}-last", (f"flows-{number}-join",), second))
        self.figures["joins"] += 1

    async def _chain(self, number: int) -> None:
        app, policy = self.any_app(), self.draw.choice(_POLICIES)
        links = self._leaves(app, f"flows-{number}", 4, fails=0.15)
        handles = await self.ask(lambda: app.chain(*links, on_failure=policy))
        self.stage.diary.accepted.update(handle.id for handle in handles)
        self.families += [Family(after.id, (before.id,), policy) for before, after in pairwise(links)]
        self.figures["chains"] += 1

    async def _batch(self, number: int) -> None:
        app = self.any_app()
        batch_id = f"flows-{number}"
        leaves = self._leaves(app, batch_id, self.draw.choice([5, 20, 60]), fails=0.1)
        then = app.tasks["flows_join"].with_options(id=f"{batch_id}-then").prepare(number=number)
        while True:
            try:
                async with app.batch(batch_id, then=then) as batch:
                    for leaf in leaves:
                        batch.add(leaf)
                break
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
        family = Family(then.id, tuple(leaf.id for leaf in leaves), "run")
        self.stage.diary.accepted.update({then.id, *family.parents})
        self.batches[batch_id] = family
        self.figures["batches"] += 1

    async def _retry(self, family: Family) -> None:
        """Run the failed parents again: the flow is taken up."""
        diary = self.stage.diary
        for parent in family.parents:
            if diary.state(parent) != "failed":
                continue
            touched = self._downstream(parent)
            self.run_again |= touched
            while True:
                for job in touched:
                    diary.again[job] += 1
                try:
                    await self.app.client.job(parent).retry()
                except StoreUnavailable:
                    await asyncio.sleep(AGAIN_S)
                except RunnerError:  # it is refused: one that it comes after has failed, or it was run again already
                    break
                else:
                    self.figures["run again"] += 1
                    break

    def _downstream(self, job: str) -> set[str]:
        """A job and all that come after it."""
        found = {job}
        for family in self.families:  # in their order
            if found & set(family.parents):
                found.add(family.child)
        return found

    async def findings(self) -> dict[str, list[str]]:
        wrong = Findings()
        for family in [*self.families, *self.batches.values()]:
            wrong["flow"] += self._wrong_with(family)
        for batch_id, family in self.batches.items():
            progress = await self.app.batch(batch_id).progress()
            wrong["batch"] += wrong_with(progress, [self.stage.diary.state(parent) for parent in family.parents])
        return wrong

    def _wrong_with(self, family: Family) -> list[str]:
        diary, child = self.stage.diary, family.child
        states = {diary.state(parent) for parent in family.parents}
        expected = "succeeded" if states == {"succeeded"} else _COMES_TO[family.policy]
        found = []
        end = diary.last(child)
        failed_itself = expected == "succeeded" and end is not None and end.error in _ITS_OWN
        if diary.state(child) != expected and not failed_itself:
            found.append(f"{child} is {diary.state(child)}: its parents are {sorted(states)}, and its policy {family.policy}")
        if expected != "succeeded" and child not in self.run_again and child in diary.starts:
            found.append(f"{child} was started, though its parents are {sorted(states)}")
        if child not in self.run_again and (start_us := diary.first_start_us(child)) is not None:
            late = [parent for parent in family.parents if diary.ends[parent][0].at_us > start_us]
            found += [f"{child} was started before {parent} had ended" for parent in late]
        told = [run.words for run in diary.runs[child] if len(run.words) > 0]
        if child not in self.run_again and family.policy == "run" and told:
            now = tuple(diary.state(parent) for parent in family.parents)
            found += [f"{child} read {words[:5]} of its parents, which are {now[:5]}" for words in told if words != now]
        return found

    async def forget(self) -> None:
        """The jobs of flows are kept for a week."""
        jobs = {job for family in [*self.families, *self.batches.values()] for job in (family.child, *family.parents)}
        for job in sorted(jobs):
            with suppress(UnknownJob):
                await self.ask(self.stage.watcher.job(job).delete)


def wrong_with(progress: BatchProgress, states: Sequence[str]) -> list[str]:
    """Of a batch that says something else than its jobs have come to."""
    said = {"succeeded": progress.succeeded, "failed": progress.failed, "cancelled": progress.cancelled, "expired": progress.expired}
    found = {state: states.count(state) for state in said}
    if progress.has_ended and progress.total == len(states) and progress.pending == progress.gone == 0 and said == found:
        return []
    return [f"batch {progress.id} says {progress}, and its jobs are {found}"]
