"""watch: one job until it has ended: a bar of its progress on a terminal, else a line for each change."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from runner.cli.jobs import JobId, show
from runner.cli.output import say, say_json, status_fields
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.jobs import JobStatus, watched
from runner.plain_text import escaped

_Show = Callable[[JobStatus], None]


@about_queue
def watch(target: Target, job_id: JobId) -> None:
    """Follow a job until it has ended: what it waits for, then how far it is. Exit code 1 if it failed."""

    async def follow(client: AnyClient) -> JobStatus:
        handle = client.job(job_id)
        with shown(as_json=target.json) as tell:
            async for status in handle.changes():
                tell(status)
        return await handle.status()

    show(target.ask(follow), as_json=target.json)


@contextmanager
def shown(*, as_json: bool) -> Iterator[_Show]:
    """What shows a job as it changes."""
    if as_json:
        yield lambda status: say_json(status_fields(status))
    elif not sys.stdout.isatty():
        yield lambda status: say(watched(status))
    else:
        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Bars(*columns, transient=True) as bars:
            bar = bars.add_task("", total=None)

            def move(status: JobStatus) -> None:
                said = status.progress
                bars.update(
                    bar, description=escaped(watched(status)), completed=said.done if said else 0, total=said.total if said else None
                )

            yield move
