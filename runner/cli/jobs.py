"""The commands about jobs: submit, status, explain, cancel and retry; and workers, which lists the workers."""

import shlex
import sys
from dataclasses import asdict
from typing import Annotated, cast

import typer

from runner.cli.job_options import Alike, Cost, Deadline, MaxWait, Metadata, Pool, Priority, Tags, unique_said
from runner.cli.output import columns, say, say_json, status_fields
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.cli.reading import costs, instant, json_object, metadata_in
from runner.cli.times import TIME
from runner.client import JobRequest
from runner.errors import InvalidArguments, InvalidOption
from runner.jobs import JobOptions, JobStatus, OnFailure, PriorityName, State, foretold, foretold_batch, summary
from runner.store import WorkerStatus

JobId = Annotated[str, typer.Argument(help="The job's id; of a tenant's job with the tenant, like t7/o-17.")]
Reason = Annotated[str, typer.Option(help="Why; written into the audit.")]
Wait = Annotated[
    float | None, typer.Option("--wait", **TIME, help='Wait up to this time for the job to end: seconds, or "5m".', show_default=False)
]


@about_queue
def submit(
    target: Target,
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    args: Annotated[str, typer.Argument(help='Its arguments as a JSON object, like \'{"order_id": "o-17"}\'.')] = "{}",
    job_id: Annotated[str | None, typer.Option("--id", help="An id of your own; submitting it again is safe.", show_default=False)] = None,
    priority: Priority = None,
    delay: Annotated[float | None, typer.Option(**TIME, help='Time before it may start: seconds, or "1h".', show_default=False)] = None,
    run_at: Annotated[
        str | None, typer.Option("--run-at", help="The instant before which it does not start: 2026-11-30T06:00:00Z.", show_default=False)
    ] = None,
    max_wait: MaxWait = None,
    deadline: Deadline = None,
    cost: Cost = None,
    unique: Alike = None,
    pool: Pool = None,
    tag: Tags = None,
    metadata: Metadata = None,
    after: Annotated[
        list[str] | None, typer.Option("--after", help="Id of a job that has to end before; may be given again.", show_default=False)
    ] = None,
    on_failure: Annotated[
        str | None,
        typer.Option("--on-failure", help="What becomes of it if one of those does not succeed: cancel, fail or run.", show_default=False),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="The batch that it joins, see `batch begin`.", show_default=False)] = None,
    wait: Wait = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing, and say when it would start and end.")] = False,
    count: Annotated[
        int, typer.Option("--count", min=1, max=1000, help="With --dry-run: so many such jobs at once, and when the last of them ends.")
    ] = 1,
) -> None:
    """Submit one job by name and print its id and state; of a unique one it is the job that is there. Exit code 1 if it failed meanwhile."""
    options = JobOptions(
        id=job_id,
        priority=cast("PriorityName | None", priority),
        delay=delay,
        run_at=instant("--run-at", run_at),
        max_wait=max_wait,
        deadline=deadline,
        cost=costs(cost),
        pool=pool,
        unique=unique_said(unique),
        tags=tag,
        metadata=metadata_in(metadata),
        after=after or None,
        on_failure=cast("OnFailure | None", on_failure),
        batch=batch,
    )
    arguments = json_object("arguments", args, '{"order_id": "o-17"}', InvalidArguments)

    if count > 1 and not (dry_run and job_id is None):
        raise InvalidOption("--count is for --dry-run, of jobs without an id: leave it out")
    if count > 1:
        all_told = target.ask(lambda client: client.foresee_many([JobRequest(task, arguments, options)] * count))
        if target.json:
            say_json({**all_told.document(), "jobs": [told.document() for told in all_told.jobs]})
        else:
            say("\n".join(foretold_batch(all_told)))
        return
    if dry_run:
        told = target.ask(lambda client: client.foresee(task, arguments, options))
        if target.json:
            say_json(told.document())
        else:
            say("\n".join(foretold(told)))
        return

    async def act(client: AnyClient) -> JobStatus:
        handle = await client.submit(task, arguments, options)
        return await (handle.status() if wait is None else handle.wait(wait))

    show(target.ask(act), as_json=target.json)


@about_queue
def status(target: Target, job_id: JobId, wait: Wait = None) -> None:
    """Print the state of a job: what it waits for and when it will start, or how it ended. Exit code 1 if it failed."""

    async def act(client: AnyClient) -> JobStatus:
        return await client.job(job_id).wait(wait or 0)

    show(target.ask(act), as_json=target.json)


@about_queue
def explain(target: Target, job_id: JobId) -> None:
    """Explain in a few sentences why a job is in its state, with numbers, and what to do next."""

    async def ask(client: AnyClient) -> tuple[JobStatus, list[str]]:
        status = await client.job(job_id).status()
        return status, await client.explain(status, options=target.options)

    status, sentences = target.ask(ask)
    if target.json:
        say_json({**status_fields(status), "explanation": sentences})
        return
    for sentence in sentences:
        say(sentence)


@about_queue
def cancel(target: Target, job_id: JobId) -> None:
    """Stop a job. A running one ends when its handler does; a second cancel has the same answer."""
    _print(target.ask(lambda client: client.job(job_id).cancel()), as_json=target.json)


@about_queue
def retry(
    target: Target,
    job_id: JobId,
    ignore_parents: Annotated[
        bool, typer.Option("--ignore-parents", help="Even if a job that it comes after has not succeeded, or has not ended.")
    ] = False,
) -> None:
    """Run a job again that failed, expired or was cancelled. What was ended because of it is held again."""
    _print(target.ask(lambda client: client.job(job_id).retry(ignore_parents=ignore_parents)), as_json=target.json)


@about_queue
def delete(target: Target, job_id: JobId, reason: Reason = "") -> None:
    """Forget a job that has ended, before its time to live has passed. One that has not ended is to be cancelled first."""
    target.ask(lambda client: client.job(job_id).delete(reason=reason))
    if target.json:
        say_json({"id": job_id, "deleted": True})
    else:
        say(f"deleted job {job_id}")


@about_queue
def workers(target: Target) -> None:
    """List the workers that hold a lease, and which of them leads."""
    found = target.ask(lambda client: client.workers())
    if target.json:
        for worker in found:
            say_json(asdict(worker))
        return
    if not found:
        say(f"no workers: nothing runs until one is started, by {shlex.join(['python', '-m', 'runner', 'worker', *target.worker_options])}")
        return
    head = ("WORKER", "HOST", "PID", "SLOTS", "BUSY", "STUCK", "DEFECTS", "STALL", "MEMORY", "VERSION", "LEADS")
    for line in columns([head, *map(_row, found)]):
        say(line)


def _row(worker: WorkerStatus) -> tuple[str, ...]:
    slots = (
        f"{worker.slots}+{worker.children}" if worker.children else str(worker.slots),
        "" if worker.busy is None else str(worker.busy),
        str(worker.stuck or ""),
        str(worker.defects or ""),
        "" if worker.stall_ms is None else f"{worker.stall_ms} ms",
        "" if worker.memory_bytes is None else f"{worker.memory_bytes / 1e6:.0f} MB",
        worker.version or "",
    )
    return worker.id, worker.host or "", str(worker.pid), *slots, "yes" if worker.leader else ""


def _print(status: JobStatus, *, as_json: bool) -> None:
    if as_json:
        say_json(status_fields(status))
    else:
        say(summary(status))


def show(status: JobStatus, *, as_json: bool) -> None:
    """Print a job. Exits with 1 if it has ended without success."""
    _print(status, as_json=as_json)
    if status.state in (State.failed, State.cancelled, State.expired):
        sys.exit(1)
