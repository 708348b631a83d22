"""Declarations: what is declared on a queue, by which version of which app, and what of it is served. One method per script."""

import json
from collections.abc import Iterator, Mapping, Sequence

from runner.connection import command, translated_errors
from runner.jobs import TaskStatus
from runner.limits import Limit, limit_of
from runner.store import published, replies, scripts
from runner.store.answers import ForgetAnswer
from runner.store.calendars import Calendars
from runner.store.portions import MOST_LIMITS, fitting, portions
from runner.store.published import Known, Published, Role
from runner.store.text import decoded

_NONE: Mapping[str, str] = {}


class Declarations(Calendars):
    """The catalog of a queue."""

    async def publish(
        self,
        tasks: Mapping[str, str],
        limits: Sequence[Limit],
        since_us: int = 0,
        *,
        role: Role = Role.worker,
        revision: int = 0,
        schedules: Mapping[str, str] = _NONE,
    ) -> Published:
        """Put tasks (name -> JSON) and limits into the catalog, as far as no other declaration stands against them.

        `since_us` is 0 in the first call of a process, then what that call returned. Raises `IncompatibleVersion`.
        """
        # Limits come first: a task that is published without them would be refused to whoever submits it meanwhile.
        calls = [(0, [word for limit in part for word in published.limit_words(limit, revision)]) for part in portions(limits, MOST_LIMITS)]
        calls += [(len(part), [word for words in part for word in words]) for part in _portions_of_specs(tasks)]
        app = published.app_digest({**tasks, **schedules}, limits, role, revision)
        parts = []
        for number, (count, words) in enumerate(calls or [(0, [])], 1):
            last = app if number == max(len(calls), 1) else ""
            answer = await self._run(
                "publish", words, started_us=since_us, role=role.value, task_revision=revision, app=last, task_count=count
            )
            replies.check_versions(self.keys.queue, answer)
            since_us = int(answer[0])
            parts.append(answer)
        for calendar in {limit.calendar for limit in limits if limit.calendar}:
            await self.extend_calendar(calendar)
        return published.published(parts)

    async def refresh(
        self,
        tasks: Mapping[str, str],
        limits: Sequence[Limit],
        *,
        role: Role = Role.worker,
        revision: int = 0,
        schedules: Mapping[str, str] = _NONE,
    ) -> bool:
        """Say again that what was published is declared; False if it is to be published again, as the catalog lacks some of it."""
        app = published.app_digest({**tasks, **schedules}, limits, role, revision)
        names = [*(f"t:{name}" for name in tasks), *(f"l:{limit.name}" for limit in limits), *(f"s:{name}" for name in schedules)]
        return all([await self._run("refresh", part, app=app) for part in list(portions(names)) or [()]])

    async def known(self, version: str, names: Sequence[str]) -> Known:
        """What a producer must know of these tasks (`MOST_PER_CALL` at most), or of the first of them; `version` is "" unless it knew them all at that one.

        Raises `IncompatibleVersion`.
        """
        answer = await self._run("known", names, known_version=version)
        replies.check_versions(self.keys.queue, answer)
        return published.known(names, answer)

    async def tasks(self) -> list[TaskStatus]:
        """Every task of the catalog, by name, and whether it is served."""
        names = sorted(decoded(name) for name in (await self._run("tasks"))[0])
        rows = [
            (name, row) for part in portions(names, MOST_LIMITS) for name, row in zip(part, await self._run("tasks", part), strict=True)
        ]
        return [published.task_status(name, row) for name, row in rows if row[0] is not None]

    async def damaged_limits(self) -> list[str]:
        """The limits whose entry cannot be read."""
        names = await self.limit_names()
        with translated_errors():
            entries = [
                entry for part in portions(names, MOST_LIMITS) for entry in await command(self.redis, "HMGET", self.keys.limits, *part)
            ]
        return [name for name, entry in zip(names, entries, strict=True) if entry is not None and not published.is_limit(entry)]

    async def live_versions(self) -> int:
        """How many versions of the queue's apps live workers serve."""
        return int((await self._run("tasks"))[1])

    async def forget(self, task: str) -> ForgetAnswer:
        """Remove a task that no live worker serves."""
        return ForgetAnswer(decoded(await self._run("forget", task=task)))

    async def code_of(self, name: str) -> Limit | None:
        """What the code says of one limit; None for an unknown one."""
        with translated_errors():
            (entry,) = await command(self.redis, "HMGET", self.keys.limits, name)
        return None if entry is None else limit_of(json.loads(entry)["code"])


def _portions_of_specs(tasks: Mapping[str, str]) -> Iterator[Sequence[list[scripts.Argument]]]:
    """The words of tasks by so many as one call publishes."""
    specs = [published.spec_words(name, body) for name, body in tasks.items()]
    while specs:
        count = fitting(len(str(words[-1])) for words in specs)
        yield specs[:count]
        specs = specs[count:]
