"""Listing: many jobs by what they have in common. One method per script; all of them read only."""

import secrets
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.jobs import DeadLetterGroup, JobCounts
from runner.store.portions import MOST_EXAMINED
from runner.store.queue import QueueStore
from runner.store.text import decoded

_NO_PLACE = "the cursor is of no place"


class Selected(NamedTuple):
    """One page: where the next begins (empty: there is none), how many records were looked at, and the ids of the jobs."""

    cursor: bytes
    looked: int
    ids: list[str]


class Grouped(NamedTuple):
    """One page of a count by group."""

    cursor: bytes
    groups: list[DeadLetterGroup]


class Listing(QueueStore):
    """The role of who looks at the queue as a whole."""

    async def select(self, question: str, cursor: bytes = b"", *, found: int = MOST_EXAMINED, examined: int = MOST_EXAMINED) -> Selected:
        """The jobs that a filter (`question_of`) asks for, from a cursor on: so many at most, among so many records.

        Raises `ConfigurationError` for a cursor of another version of the scripts.
        """
        answer = await self._read("select", filter_json=question, cursor_json=cursor, examined_most=examined, found_most=found)
        return Selected(answer[0], int(answer[1]), [decoded(one) for one in answer[2]])

    async def counts(self) -> JobCounts:
        """How many jobs of the queue there are, by state."""
        *rows, oldest = await self._run("counts")
        numbers: dict[str, Any] = {}
        waiting_for: dict[str, int] = {}
        for state, reason, number in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            name = decoded(state)
            numbers[name] = numbers.get(name, 0) + int(number)
            if reason:
                waiting_for[decoded(reason)] = waiting_for.get(decoded(reason), 0) + int(number)
        since = int(oldest.partition(b"-")[0]) / 1_000 if oldest else None
        return JobCounts(**numbers, waiting_for=waiting_for, succeeded_since=since)

    async def groups(self, question: str, cursor: bytes = b"") -> Grouped:
        """What a filter asks for, counted by task and type of error, from one page."""
        answer = await self._read("groups", filter_json=question, cursor_json=cursor, examined_most=MOST_EXAMINED)
        cells = answer[2:]
        rows = zip(*(cells[at::6] for at in range(6)), strict=True)
        groups = [
            DeadLetterGroup(decoded(task), decoded(kind), int(number), int(first) / MICROSECONDS, int(last) / MICROSECONDS, decoded(latest))
            for task, kind, number, first, last, latest in rows
        ]
        return Grouped(answer[0], groups)

    async def cursor_secret(self) -> bytes:
        """What the queue's cursors are sealed with."""
        answer: bytes = await self._run("cursor_secret", fresh=secrets.token_hex(32))
        return answer

    async def _read(self, name: str, **arguments: Any) -> Any:
        try:
            return await self._run(name, **arguments)
        except ResponseError as error:
            if _NO_PLACE in str(error):
                raise ConfigurationError("the cursor is of no place where such jobs are now: begin anew, without it") from None
            raise
