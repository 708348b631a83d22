"""The commands about jobs: submit, status, explain, cancel and retry; and workers, which lists the workers."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from runner.cli.output import columns, say, say_json, status_fields
from runner.cli.queue_client import Target, about_queue
from runner.client import Client
from runner.errors import InvalidArguments, InvalidOption
from runner.jobs import JobOptions, JobStatus, State, summary

JobId = Annotated[str, typer.Argument(help="The job's id.")]
Wait = Annotated[float | None, typer.Option("--wait", help="Wait up to this many seconds for the job to end.", show_default=False)]


@about_queue
def submit(
    target: Target,
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    args: Annotated[str, typer.Argument(help='Its arguments as a JSON object, like \'{"order_id": "o-17"}\'.')] = "{}",
    job_id: Annotated[str | None, typer.Option("--id", help="An id of your own; submitting it again is safe.", show_default=False)] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default=False)] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds before it may start.", show_default=False)] = None,
    max_wait: Annotated[
        float | None, typer.Option("--max-wait", help="Seconds after which it expires if it has not started.", show_default=False)
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option("--cost", help="Tokens to take of a limit, like llm-tokens=800; may be given again.", show_default=False),
    ] = None,
    wait: Wait = None,
) -> None:
    """Submit one job by name and print its id and state. Exit code 1 if it failed meanwhile."""
    options = JobOptions(id=job_id, priority=priority, delay=delay, max_wait=max_wait, cost=_costs(cost or []))
    arguments = _parsed(args)

    async def act(client: Client) -> JobStatus:
        handle = await client.submit(task, arguments, options)
        return await (handle.status() if wait is None else handle.wait(wait))

    _show(target.ask(act), as_json=target.json)


@about_queue
def status(target: Target, job_id: JobId, wait: Wait = None) -> None:
    """Print the state of a job: what it waits for and when it will start, or how it ended. Exit code 1 if it failed."""

    async def act(client: Client) -> JobStatus:
        return await client.wait(client.job(job_id).id, wait or 0)

    _show(target.ask(act), as_json=target.json)


@about_queue
def explain(target: Target, job_id: JobId) -> None:
    """Explain in a few sentences why a job is in its state, with numbers, and what to do next."""

    async def ask(client: Client) -> tuple[JobStatus, list[str]]:
        status = await client.status(client.job(job_id).id)
        return status, await client.explain(status)

    status, sentences = target.ask(ask)
    if target.json:
        say_json({**status_fields(status), "explanation": sentences})
        return
    for sentence in sentences:
        say(sentence)


@about_queue
def cancel(target: Target, job_id: JobId) -> None:
    """Stop a job. A running one ends when its handler does; a second cancel has the same answer."""
    _print(target.ask(lambda client: client.cancel(job_id)), as_json=target.json)


@about_queue
def retry(target: Target, job_id: JobId) -> None:
    """Run a job again that failed, expired or was cancelled."""
    _print(target.ask(lambda client: client.retry(job_id)), as_json=target.json)


@about_queue
def workers(target: Target) -> None:
    """List the workers that hold a lease, and which of them leads."""
    found = target.ask(lambda client: client.workers())
    if target.json:
        for worker in found:
            say_json(asdict(worker))
        return
    if not found:
        say("no workers: nothing runs until one is started, by python -m runner worker")
        return
    head = ("WORKER", "HOST", "PID", "SLOTS", "STUCK", "LEADS")
    for line in columns(
        [head, *((w.id, w.host or "", str(w.pid), str(w.slots), str(w.stuck or ""), "yes" if w.leader else "") for w in found)]
    ):
        say(line)


def _parsed(args: str) -> dict[str, Any]:
    try:
        parsed = json.loads(args)
    except ValueError as error:
        raise InvalidArguments(f"arguments {args!r} are not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise InvalidArguments(f'arguments {args!r} are not a JSON object: name them, like \'{{"order_id": "o-17"}}\'')
    return parsed


def _costs(given: list[str]) -> dict[str, int] | None:
    costs = {}
    for text in given:
        limit, _, tokens = text.partition("=")
        if not limit or not (tokens.isascii() and tokens.isdigit() and len(tokens) < 20):
            raise InvalidOption(f"cost {text!r} is not understood: write limit=tokens, like llm-tokens=800")
        costs[limit] = int(tokens)
    return costs or None


def _print(status: JobStatus, *, as_json: bool) -> None:
    if as_json:
        say_json(status_fields(status))
    else:
        say(summary(status))


def _show(status: JobStatus, *, as_json: bool) -> None:
    _print(status, as_json=as_json)
    if status.state in (State.failed, State.cancelled, State.expired):
        sys.exit(1)
