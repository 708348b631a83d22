"""jobs: list jobs, count them, and group dead letters by what they failed of."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from runner.cli.output import columns, say, say_json, status_fields
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.client import seconds_said
from runner.clock import MICROSECONDS, wall_us
from runner.jobs import JobFilter, JobStatus, State, note
from runner.ranges import checked

app = typer.Typer(help="See the jobs of a queue: list, count and group them.", no_args_is_help=True, rich_markup_mode=None)

_PAGE = 100
_LONGEST_NOTE = 120

States = Annotated[list[str] | None, typer.Option("--state", help="In this state; may be given again.", show_default=False)]
WaitsFor = Annotated[
    str | None,
    typer.Option(
        "--waits-for",
        help="Waits for that, as its status says: delay, retry, bounced, slots, 'no worker', paused, jobs, or line (for tokens).",
        show_default=False,
    ),
]
Task = Annotated[str | None, typer.Option(help="Of this task, or of names like 'billing.*'.", show_default=False)]
Limit = Annotated[str | None, typer.Option(help="That needs this limit.", show_default=False)]
Bucket = Annotated[str | None, typer.Option(help='That needs this bucket, like "tenant/t7".', show_default=False)]
Pool = Annotated[str | None, typer.Option(help="Of this pool.", show_default=False)]
Tag = Annotated[str | None, typer.Option(help="That has this tag.", show_default=False)]
Schedule = Annotated[str | None, typer.Option(help="Made by this schedule, by its instants or by hand.", show_default=False)]
Batch = Annotated[str | None, typer.Option(help="Of this batch.", show_default=False)]
Error = Annotated[str | None, typer.Option(help="Whose error is of this type.", show_default=False)]
Prefix = Annotated[str, typer.Option("--id-prefix", help="Whose id begins like this; of a tenant 't7/'.", show_default=False)]
Since = Annotated[str | None, typer.Option(help="Submitted in the last of it, like 1h.", show_default=False)]
Ended = Annotated[str | None, typer.Option("--ended-since", help="Ended in the last of it, like 1h.", show_default=False)]


def _ago(what: str, text: str | None) -> float | None:
    if text is None:
        return None
    return wall_us() / MICROSECONDS - checked("duration", seconds_said(what, text), of=what)


@app.command("list")
@about_queue
def list_jobs(
    target: Target,
    state: States = None,
    waits_for: WaitsFor = None,
    task: Task = None,
    limit: Limit = None,
    bucket: Bucket = None,
    pool: Pool = None,
    tag: Tag = None,
    error: Error = None,
    schedule: Schedule = None,
    batch: Batch = None,
    id_prefix: Prefix = "",
    since: Since = None,
    ended_since: Ended = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Of those on a stream or ended the earliest first.")] = False,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="How many jobs at most.")] = _PAGE,
) -> None:
    """List jobs: the latest first of those that are ready, run or have ended, and in the order of service those that wait."""
    chosen = JobFilter(
        tuple(state or ()),
        waits_for,
        task,
        limit,
        bucket,
        pool,
        tag,
        error,
        id_prefix,
        submitted_from=_ago("--since", since),
        ended_from=_ago("--ended-since", ended_since),
        oldest_first=oldest_first,
        schedule=schedule,
        batch=batch,
    )

    _print_jobs(target, *target.ask(_first(chosen, most)))


def _print_jobs(target: Target, found: list[JobStatus], more: bool) -> None:
    if target.json:
        for status in found:
            say_json(status_fields(status))
        return
    if not found:
        say("no such jobs")
        return
    head = ("JOB", "TASK", "STATE", "ATTEMPTS", "SINCE", "NOTE")
    for line in columns([head, *(_row(status) for status in found)]):
        say(line)
    if more:
        say(f"... and more: -n {2 * len(found)} shows twice as many")


def _row(status: JobStatus) -> tuple[str, ...]:
    since = status.finished_at or (status.started_at if status.state is State.running else None) or status.submitted_at
    return status.id, status.task, status.state, str(status.attempt), _instant(since), note(status)[:_LONGEST_NOTE]


def _instant(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


@app.command()
@about_queue
def count(
    target: Target,
    state: States = None,
    waits_for: WaitsFor = None,
    task: Task = None,
    limit: Limit = None,
    bucket: Bucket = None,
    pool: Pool = None,
    tag: Tag = None,
    error: Error = None,
    schedule: Schedule = None,
    batch: Batch = None,
    id_prefix: Prefix = "",
    since: Since = None,
) -> None:
    """Count jobs by state: all of them at once, or those that are asked for, in some seconds at most."""
    words = (waits_for, task, limit, bucket, pool, tag, error, id_prefix)
    chosen = JobFilter(tuple(state or ()), *words, submitted_from=_ago("--since", since), schedule=schedule, batch=batch)
    found = target.ask(lambda client: client.job_counts(chosen))
    if target.json:
        say_json({**asdict(replace(found, waiting_for={})), "waiting_for": dict(found.waiting_for)})
        return
    at_least = "" if found.is_complete else "at least "
    for name in State:
        number = getattr(found, name.value)
        if number is not None and (not chosen.states or name in chosen.states):
            since_at = found.succeeded_since if name is State.succeeded else None
            of_a_day = "" if since_at is None else f" in the last 24 h, listed since {_instant(since_at)} UTC"
            say(f"{name.value:<10} {at_least}{number}{of_a_day}")
            for why, waiting in found.waiting_for.items() if name is State.waiting else ():
                say(f"  {'tokens' if why == 'line' else why:<10} {waiting}")


@app.command()
@about_queue
def failed(
    target: Target,
    group: Annotated[bool, typer.Option("--group", help="How many of each task and type of error.")] = False,
    task: Task = None,
    error: Error = None,
    limit: Limit = None,
    tag: Tag = None,
    batch: Batch = None,
    ended_since: Ended = None,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="How many jobs at most.")] = _PAGE,
) -> None:
    """List dead letters, the latest first, or group them by task and type of error."""
    chosen = JobFilter("failed", task=task, error=error, limit=limit, tag=tag, batch=batch, ended_from=_ago("--ended-since", ended_since))
    if not group:
        _print_jobs(target, *target.ask(_first(chosen, most)))
        return
    groups = target.ask(lambda client: client.dead_letters(chosen))
    if target.json:
        for one in groups:
            say_json(asdict(one))
        return
    if not groups:
        say("no dead letters")
        return
    head = ("JOBS", "TASK", "ERROR", "FIRST", "LAST", "LATEST JOB")
    rows = [(str(one.count), one.task, one.error, _instant(one.first_at), _instant(one.last_at), one.last_id) for one in groups]
    for line in columns([head, *rows]):
        say(line)


def _first(chosen: JobFilter, most: int) -> Callable[[AnyClient], Awaitable[tuple[list[JobStatus], bool]]]:
    """The first jobs that a filter asks for, and whether there are more."""

    async def ask(client: AnyClient) -> tuple[list[JobStatus], bool]:
        found: list[JobStatus] = []
        cursor = None
        while True:
            page = await client.jobs(chosen, cursor=cursor, most=min(most - len(found), _PAGE))
            found += page.jobs
            cursor = page.cursor
            if cursor is None or len(found) >= most:
                return found, cursor is not None

    return ask
