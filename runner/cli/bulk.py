"""The commands about many jobs at once: jobs cancel, retry, delete and purge by what they have in common, and jobs bulk about those under way."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runner.cli.listing import Batch, Bucket, Error, Limit, Pool, Prefix, Schedule, States, Tag, Task, WaitsFor
from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.client import seconds_said
from runner.clock import MICROSECONDS, wall_us
from runner.errors import InvalidOption
from runner.jobs import BulkAction, BulkPhase, BulkStatus, JobFilter
from runner.ranges import checked

_LOOK_S = 1.0

Before = Annotated[str | None, typer.Option("--older-than", help="Submitted longer ago, like 2h.", show_default=False)]
Everything = Annotated[bool, typer.Option("--all", help="All jobs of the queue that it can be done to.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print how many there are, and do nothing.")]
Reason = Annotated[str, typer.Option(help="Why; written into the audit.")]


def _command(action: BulkAction, summary: str) -> Callable[..., None]:
    def act(
        target: Target,
        task: Task = None,
        state: States = None,
        waits_for: WaitsFor = None,
        limit: Limit = None,
        bucket: Bucket = None,
        pool: Pool = None,
        tag: Tag = None,
        error: Error = None,
        schedule: Schedule = None,
        batch: Batch = None,
        id_prefix: Prefix = "",
        older_than: Before = None,
        everything: Everything = False,
        yes: Yes = False,
        dry_run: DryRun = False,
        reason: Reason = "",
    ) -> None:
        to_s = None if older_than is None else wall_us() / MICROSECONDS - _seconds(older_than)
        words = (waits_for, task, limit, bucket, pool, tag, error, id_prefix)
        chosen = JobFilter(tuple(state or ()), *words, submitted_to=to_s, schedule=schedule, batch=batch)
        if chosen == JobFilter() and not everything:
            raise InvalidOption(f"say which jobs to {action}, like --task charge --state {min(action.states)}, or --all")
        _do(target, action, chosen, yes=yes, dry_run=dry_run, reason=reason)

    act.__doc__ = summary
    return about_queue(act)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `jobs`."""
    for action, summary in (
        (BulkAction.cancel, "Cancel all jobs that have something in common: prints how many there are, and asks."),
        (
            BulkAction.retry,
            "Run all jobs again that have something in common, and failed, expired or were cancelled: prints how many, and asks.",
        ),
        (BulkAction.delete, "Forget all jobs that have something in common and have ended: prints how many there are, and asks."),
        (
            BulkAction.purge,
            "Cancel all jobs that have something in common and do not run, and forget them with those that have ended: asks.",
        ),
    ):
        app.command(action.value)(_command(action, summary))
    app.command("bulk")(bulk)


@about_queue
def bulk(
    target: Target,
    id: Annotated[str | None, typer.Argument(help="Of this act; without it all are listed.", show_default=False)] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Go no further; what was done stays done.")] = False,
) -> None:
    """Show the acts upon many jobs: those under way, and those that ended last."""
    if id is None:
        if stop:
            raise InvalidOption("--stop is for one act: give its id")
        found = target.ask(lambda client: client.bulk.all())
    else:
        found = [target.ask(lambda client: client.bulk.stop(id) if stop else client.bulk.status(id))]
    if target.json:
        for one in found:
            say_json(asdict(one))
        return
    if not found:
        say("no acts upon many jobs: none is open, and none ended within the last week")
        return
    for line in columns([("ID", "ACTION", "PHASE", "JOBS", "DONE", "SKIPPED", "BEGAN", "BY", "FILTER"), *map(_row, found)]):
        say(line)


def _do(target: Target, action: BulkAction, chosen: JobFilter, *, yes: bool, dry_run: bool, reason: str) -> None:
    async def count(client: AnyClient) -> BulkStatus:
        begun = await client.bulk.begin(action, chosen, reason=reason)
        try:
            counted = await client.bulk.counted(begun.id)
        except BaseException:
            await client.bulk.stop(begun.id)
            raise
        return await client.bulk.stop(begun.id) if dry_run or not counted.counted else counted

    counted = target.ask(count)
    if dry_run or not counted.counted:
        _tell(target, counted, f"{_jobs(counted.counted)} to {action}")
        return
    if not yes and not _agreed(target, action, counted):
        target.ask(lambda client: client.bulk.stop(counted.id))
        raise InvalidOption(f"nothing was done to {_jobs(counted.counted)}: give --yes to {action} without a question")
    ended = target.ask(lambda client: _confirmed(client, counted, silent=target.json))
    _tell(target, ended, _came_to(ended))
    sys.exit(0 if ended.phase is BulkPhase.done else 1)


def _agreed(target: Target, action: BulkAction, counted: BulkStatus) -> bool:
    """Whether whoever sits there says so. Nobody sits at a pipe."""
    if target.json or not sys.stdin.isatty():
        return False
    return typer.confirm(f"{action} {_jobs(counted.counted)}?", default=False)


async def _confirmed(client: AnyClient, counted: BulkStatus, *, silent: bool) -> BulkStatus:
    status = await client.bulk.confirm(counted.id, counted.counted)
    while status.phase is BulkPhase.acting:
        status = await client.bulk.wait(counted.id, _LOOK_S)
        if status.phase is BulkPhase.acting and not silent:
            say(f"{status.done + status.skipped} of {status.counted}")
        await asyncio.sleep(0)
    return status


def _tell(target: Target, status: BulkStatus, text: str) -> None:
    if target.json:
        say_json(asdict(status))
    else:
        say(text)


def _came_to(status: BulkStatus) -> str:
    moved = status.counted - status.done - status.skipped
    parts = [f"{status.action}: {status.done} done"]
    if status.skipped:
        parts.append(f"{status.skipped} skipped ({', '.join(f'{number} {why}' for why, number in sorted(status.why.items()))})")
    if moved > 0:
        parts.append(f"{moved} had moved or ended before")
    return ", ".join(parts) + ("" if status.phase is BulkPhase.done else f"; {status.phase}")


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count} jobs"


def _row(status: BulkStatus) -> tuple[str, ...]:
    began = "" if status.began_at is None else datetime.fromtimestamp(status.began_at, UTC).isoformat(timespec="seconds")
    numbers = (str(status.counted), str(status.done), str(status.skipped))
    return status.id, status.action.value, status.phase.value, *numbers, began, status.by, _words(status.filter)


def _words(filter: Any) -> str:
    return " ".join(f"{name}={','.join(value) if isinstance(value, list) else value}" for name, value in filter.items()) or "all"


def _seconds(text: str) -> float:
    return checked("duration", seconds_said("the age of jobs", text), error=InvalidOption)
