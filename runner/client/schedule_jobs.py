"""Jobs of a schedule: stops those that have not ended, wherever its queue is."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from runner.errors import AlreadyFinished, UnknownJob
from runner.jobs import JobFilter, JobPage

_UNENDED = ("queued", "waiting", "scheduled", "running")

Pages = Callable[[JobFilter, str | None], Awaitable[JobPage]]
"""A page of the jobs that a filter asks for, from a cursor on."""


async def cancel_jobs_of(schedule: str, pages: Pages, cancel: Callable[[str], Awaitable[Any]]) -> None:
    """Cancel every job of a schedule that has been removed, so that no further one is made. One that moves during a walk is met by the next."""
    asked: set[str] = set()
    while True:
        before, cursor = len(asked), None
        while True:
            page = await pages(JobFilter(_UNENDED, schedule=schedule), cursor)
            for job in page.jobs:
                if job.id not in asked:
                    asked.add(job.id)
                    with suppress(AlreadyFinished, UnknownJob):
                        await cancel(job.id)
            cursor = page.cursor
            if cursor is None:
                break
        if len(asked) == before:
            return
