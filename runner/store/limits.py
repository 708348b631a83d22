"""Limits: the catalog of tasks and limits, tokens without a job, and changes of limits. One method per script."""

import json
from collections.abc import Sequence
from typing import Any

from runner.connection import command, translated_errors
from runner.limits import Limit, LimitStatus, limit_of
from runner.store import replies, scripts, statuses
from runner.store.calendars import Calendars
from runner.store.data_format import OLDEST_FORMAT


class Limits(Calendars):
    """What is declared on a queue, and how its limits stand. `StoreUnavailable` means try again later."""

    # The catalog

    async def publish(self, tasks: dict[str, str], limits: Sequence[Limit], since_us: int = 0) -> tuple[int, list[str]]:
        """Put tasks (name -> JSON) and limits into the catalog. `since_us` is 0 in the first call, then what that call returned.

        Returns the instant of this process's first publication, and the names of the limits that changed. Raises `IncompatibleVersion`.
        """
        rest: list[scripts.Argument] = [part for item in tasks.items() for part in item]
        for limit in limits:
            rest += (limit.name, limit.to_json(), limit.revision)
        since, *changed = await self._run("publish", rest, oldest_format=OLDEST_FORMAT, started_us=since_us, task_count=len(tasks))
        replies.check_versions(self.keys.queue, [since, *changed])
        for calendar in {limit.calendar for limit in limits if limit.calendar}:
            await self.extend_calendar(calendar)
        return int(since), [name.decode() for name in changed]

    async def tasks(self) -> dict[str, dict[str, Any]]:
        """The task catalog: specs by name."""
        with translated_errors():
            catalog = await command(self.redis, "HGETALL", self.keys.tasks)
        return _catalog(catalog)

    async def policies(self) -> dict[str, Limit]:
        """The limits in force, by name."""
        return {status.name: status.policy for status in await self.limits()}

    async def code_of(self, name: str) -> Limit | None:
        """What the code says of one limit; None for an unknown one."""
        with translated_errors():
            (entry,) = await command(self.redis, "HMGET", self.keys.limits, name)
        return None if entry is None else limit_of(json.loads(entry)["code"])

    async def limits(self, name: str = "", *, most_buckets: int = 100) -> list[LimitStatus]:
        """Every limit, or the one of this name, with its live buckets: those of a limit with a key that jobs wait for."""
        rows = await self._run("limits", most_buckets=most_buckets, name=name)
        return sorted((statuses.limit_status(row) for row in rows), key=lambda status: status.name)

    # Tokens without a job

    async def take(self, ticket: str, limits: str, line: str, *, lapse_us: int = 0, wait_us: int = 0) -> replies.Decision:
        """Take tokens now, or with `wait_us` wait in line for them; the end of the ticket is announced like the end of a job."""
        answer = await self._run(
            "take", id=ticket, limits=limits, line=line, lapse_us=lapse_us, stand_in_line=int(wait_us > 0), max_wait_us=wait_us
        )
        return replies.decision(answer)

    async def hold(self, ticket: str, limits: str, lapse_us: int) -> int:
        """Keep the concurrency slots of a ticket for another `lapse_us`, or with 0 give them back. Returns how many buckets it still holds."""
        return int(await self._run("hold", id=ticket, limits=limits, lapse_us=lapse_us))

    # Control

    async def override(self, name: str, policy: str, duration_us: int, reason: str) -> bool:
        """Put another policy (JSON) in force, or with "" that of the code. Returns False for an unknown limit."""
        return await self._run("override", name=name, policy=policy, duration_us=duration_us, reason=reason) is not None

    async def pause(self, name: str, *, on: bool, reason: str) -> bool:
        """Let no more jobs start under a limit, or let them start again. Returns False for an unknown limit."""
        return await self._run("pause", name=name, on=int(on), reason=reason) is not None

    async def freeze(self, bucket: str, duration_us: int, reason: str) -> int | None:
        """Freeze a bucket, or with 0 release it. Returns the µs for which it is frozen now, None for an unknown limit."""
        answer = await self._run("freeze", bucket=bucket, duration_us=duration_us, reason=reason)
        return None if answer is None else int(answer)


def _catalog(flat: list[bytes]) -> dict[str, dict[str, Any]]:
    """A flat list of names and JSON objects as a dictionary, by name."""
    return {name.decode(): json.loads(fields) for name, fields in sorted(zip(flat[::2], flat[1::2], strict=True))}
