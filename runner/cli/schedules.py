"""The commands about schedules: list, show, add, pause, resume, trigger and remove what runs by itself."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import typer

from runner.cli.job_options import Alike, Cost, Deadline, MaxWait, Metadata, Pool, Priority, Tags, unique_said
from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import Target, about_queue
from runner.cli.reading import costs, instant, json_object, metadata_in
from runner.cli.times import TIME
from runner.jobs import JobOptions, PriorityName, ScheduleStatus
from runner.plain_text import escaped

app = typer.Typer(help="See what runs by itself, and change it.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]

_HEADER = ("SCHEDULE", "TASK", "RUNS", "STATE", "NEXT", "LAST RUN", "MADE", "MISSED", "SKIPPED", "REFUSED")


@app.command("list")
@about_queue
def list_schedules(target: Target) -> None:
    """List every schedule: its next run, how the last one ended, and what became of its instants."""
    found = target.ask(lambda client: client.schedules.list())
    if target.json:
        for status in found:
            say_json(status.document())
        return
    if not found:
        say("no schedules: declare them by @jobs.cron or @jobs.every, or add one: schedules add")
        return
    for line in columns([_HEADER, *map(_row, found)]):
        say(line)


@app.command()
@about_queue
def show(
    target: Target, name: Name, coming: Annotated[int, typer.Option("--next", help="How many of its next instants.", min=0, max=100)] = 5
) -> None:
    """Show one schedule, and its next instants by the clock of its zone and in UTC."""
    status = target.ask(lambda client: client.schedules.show(name))
    if target.json:
        runs = [{"at": run.at, "local": run.local.isoformat(), "note": run.note} for run in status.coming(coming)]
        say_json(status.document() | {"coming": runs})
        return
    for line in _lines(status, coming):
        say(line)


@app.command()
@about_queue
def add(
    target: Target,
    name: Name,
    task: Annotated[str, typer.Argument(help="The task that runs.")],
    args: Annotated[str, typer.Argument(help="Its arguments as a JSON object.")] = "{}",
    cron: Annotated[str | None, typer.Option(help='Five fields, like "0 6 * * 1-5", or @daily.', show_default=False)] = None,
    every: Annotated[
        float | None, typer.Option(**TIME, help='Time between two runs: seconds, 1 at least, or "1h".', show_default=False)
    ] = None,
    tz: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    start: Annotated[str | None, typer.Option(help="The first instant: 2026-11-30T06:00:00Z.", show_default=False)] = None,
    end: Annotated[str | None, typer.Option(help="The last instant.", show_default=False)] = None,
    missed: Annotated[str, typer.Option(help="Of instants that nobody fired in time: latest, all or skip.")] = "latest",
    grace: Annotated[float, typer.Option(**TIME, help='Time by which a run may be late with --missed skip: seconds, or "5m".')] = 60.0,
    overlap: Annotated[str, typer.Option(help="While the run before has not ended: skip, queue or allow.")] = "skip",
    jitter: Annotated[float, typer.Option(**TIME, help='Time by which each run is later at most: seconds, or "5m".')] = 0.0,
    priority: Priority = None,
    max_wait: MaxWait = None,
    deadline: Deadline = None,
    cost: Cost = None,
    unique: Alike = None,
    pool: Pool = None,
    tag: Tags = None,
    metadata: Metadata = None,
) -> None:
    """Add a schedule, or change the one of this name. The same again changes nothing.

    From --priority on each option says it of the jobs that the schedule makes.
    """
    options = JobOptions(
        priority=cast("PriorityName | None", priority),
        cost=costs(cost),
        max_wait=max_wait,
        deadline=deadline,
        unique=unique_said(unique),
        pool=pool,
        tags=tag,
        metadata=metadata_in(metadata),
    )
    arguments = json_object("ARGS", args, '{"day": "today"}')
    given: dict[str, Any] = {"cron": cron, "every": every, "tz": tz, "missed": missed, "grace": grace, "overlap": overlap, "jitter": jitter}
    given |= {"start": instant("--start", start), "end": instant("--end", end), "options": options}
    _show(target, target.ask(lambda client: client.schedules.add(name, task, arguments, **given)))


@app.command()
@about_queue
def pause(target: Target, name: Name, reason: Annotated[str, typer.Option(help="Why; shown in the list.")] = "") -> None:
    """Fire a schedule no more. Its jobs go on, and what passes meanwhile is not made up for."""
    _show(target, target.ask(lambda client: client.schedules.pause(name, reason)))


@app.command()
@about_queue
def resume(target: Target, name: Name) -> None:
    """Let a paused schedule go on, at its next instant."""
    _show(target, target.ask(lambda client: client.schedules.resume(name)))


@app.command()
@about_queue
def trigger(target: Target, name: Name) -> None:
    """Run a schedule now, beside its instants."""
    job = target.ask(lambda client: client.schedules.trigger(name))
    if target.json:
        say_json({"id": job.id, "state": job.first_state.value})
    else:
        say(job.id)


@app.command()
@about_queue
def remove(
    target: Target,
    name: Name,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel all of its jobs too that have not ended.")] = False,
) -> None:
    """Remove a schedule. Its jobs stay. One that code declares comes back with its code: pause it."""
    status = target.ask(lambda client: client.schedules.remove(name, cancel=cancel))
    if target.json:
        say_json(status.document())
        return
    also = " and cancelled its jobs that had not ended" if cancel else ""
    say(f"removed schedule {name}{also}" + ("; its code adds it again when it next starts" if status.in_code else ""))


def _show(target: Target, status: ScheduleStatus) -> None:
    if target.json:
        say_json(status.document())
        return
    for line in _lines(status, 1):
        say(line)


def _row(status: ScheduleStatus) -> tuple[str, ...]:
    spec = status.spec
    last = f"{_text(status.last_at)} {status.last_state or ''}".strip()
    counts = (status.made, status.missed, status.skipped, status.refused)
    what = ("damaged", "") if spec is None else (spec.task, spec.words)
    return (status.name, *what, status.state, _text(status.next_at), last, *map(str, counts))


def _lines(status: ScheduleStatus, coming: int) -> Iterator[str]:
    spec = status.spec
    where = "declared in code" if status.in_code else "added at run time"
    yield f"{status.name}: {'damaged' if spec is None else f'{spec.task} {spec.words}'}, {where}, {status.state}"
    if status.fault is not None:
        yield f"  {escaped(status.fault)}"
    if status.paused_at is not None:
        yield f"  paused since {_text(status.paused_at)} by {escaped(status.paused_by)}: {escaped(status.pause_reason) or 'no reason given'}"
    yield f"  made {status.made}, missed {status.missed}, skipped {status.skipped}, refused {status.refused}"
    if spec is not None and spec.options:
        yield f"  its jobs: {escaped(json.dumps(dict(spec.options), sort_keys=True))}"
    if status.why:
        yield f"  latest of what was not made: {escaped(status.why)}"
    if status.last_job is not None:
        yield f"  last run {status.last_job}" + (f"; the last that ended: {status.last_state}" if status.last_state else "")
    if status.queued_at is not None:
        yield f"  the run of {_text(status.queued_at)} waits for its end"
    for run in status.coming(coming):
        note = {"gap": "  (the clock has just jumped ahead)", "fold": "  (the clock shows this time twice)"}.get(run.note, "")
        yield f"  next {run.local.isoformat(sep=' ', timespec='seconds')}  {_text(run.at)}{note}"


def _text(at_s: float | None) -> str:
    if at_s is None:
        return ""
    return datetime.fromtimestamp(at_s, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC"
