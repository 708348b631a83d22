"""Budgets: what was spent of limits with a unit, and who is to be told that much is. One method per script."""

from collections.abc import Sequence

from runner.access import Actor
from runner.jobs import BudgetWarning
from runner.limits import Unit
from runner.store.portions import MOST_PER_CALL, portions
from runner.store.queue import QueueStore
from runner.store.text import decoded

_ACTOR = Actor("budget", door="leader").to_json()
_FIELDS = 8
"""Words of a warning before its unit, which may have several."""


class Budgets(QueueStore):
    """What readers ask of budgets, and what workers take to tell."""

    async def spent(self, limit: str, first_day: int, last_day: int, *, by_key: bool) -> list[dict[str, int]]:
        """What each task, or each key, has spent of a budget on each of these days since 1970. '': code without a job; keys that are not counted apart."""
        days: list[dict[str, int]] = []
        while first_day + len(days) <= last_day:
            first = first_day + len(days)
            _, *rows = await self._run("spent", limit=limit, kind="k" if by_key else "t", first=first, last=last_day)
            days += [{decoded(name): int(number) for name, number in zip(row[::2], row[1::2], strict=True)} for row in rows]
        return days

    async def warnings(self, *, has_hooks: bool, told: Sequence[BudgetWarning] = (), most: int = MOST_PER_CALL) -> list[BudgetWarning]:
        """Take what is to be told of budgets. What is not among the `told` of a later call is told again, by whichever worker asks then.

        Without `has_hooks`: only what no worker with hooks has taken within a minute, once.
        """
        *before, part = [*portions([one.id for one in told])] or [[]]
        for earlier in before:
            await self._run("warnings", earlier, most=0, has_hooks=1, actor=_ACTOR)
        taken = await self._run("warnings", part, most=most, has_hooks=int(has_hooks), actor=_ACTOR)
        return [_warning(decoded(text)) for text in taken]


def _warning(text: str) -> BudgetWarning:
    bucket, share, *numbers, unit = text.split(" ", _FIELDS)
    spent, capacity, begins_us, ends_us, at_us, scale = map(int, numbers)
    worth = Unit(unit, scale) if unit else None
    return BudgetWarning(text, bucket, float(share), spent, capacity, worth, begins_us, ends_us, at_us)
