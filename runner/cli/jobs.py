"""The commands that ask: submit and status."""

import asyncio
import json as json_module
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from runner.catalog import JobOptions
from runner.cli.loading import load_app
from runner.cli.output import say, say_json, status_fields, status_text
from runner.cli.processes import App, AsJson, RedisUrl
from runner.client import Client
from runner.errors import InvalidArguments
from runner.job import JobStatus, State

T = TypeVar("T")

Queue = Annotated[str | None, typer.Option("--queue", help="The queue; otherwise that of --app.", show_default=False)]
Wait = Annotated[float | None, typer.Option("--wait", help="Wait up to so many seconds for the job to end.", show_default=False)]


def submit(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    args: Annotated[str, typer.Argument(help='Its arguments as a JSON object, like \'{"order_id": "o-17"}\'.')] = "{}",
    job_id: Annotated[str | None, typer.Option("--id", help="An id of your own; submitting it again is safe.", show_default=False)] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default=False)] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds before it may start.", show_default=False)] = None,
    wait: Wait = None,
    app: App = None,
    queue: Queue = None,
    redis_url: RedisUrl = None,
    json: AsJson = False,
) -> None:
    """Submit one job by name and print its id and where it is."""
    options = JobOptions(id=job_id, priority=priority, delay=delay)
    arguments = _parsed(args)

    async def act(client: Client) -> JobStatus:
        handle = await client.submit(task, arguments, options)
        return await (handle.status() if wait is None else handle.wait(wait))

    _show(_with_client(act, app, queue, redis_url), json=json)


def status(
    job_id: Annotated[str, typer.Argument(help="The job's id.")],
    wait: Wait = None,
    app: App = None,
    queue: Queue = None,
    redis_url: RedisUrl = None,
    json: AsJson = False,
) -> None:
    """Print where a job is, what it waits for and when it will start, or how it ended. Exit code 1 if it failed."""

    async def act(client: Client) -> JobStatus:
        return await client.wait(client.job(job_id).id, wait or 0)

    _show(_with_client(act, app, queue, redis_url), json=json)


def _with_client(act: Callable[[Client], Awaitable[T]], app: str | None, queue: str | None, redis_url: str | None) -> T:
    runner = load_app(app, redis_url=redis_url)

    async def main() -> T:
        async with Client(queue or runner.queue, settings=runner.settings) as client:
            return await act(client)

    return asyncio.run(main())


def _parsed(args: str) -> dict[str, Any]:
    try:
        parsed = json_module.loads(args)
    except ValueError as error:
        message = f"arguments {args!r} are not JSON: {error}"
        raise InvalidArguments(message) from error
    if not isinstance(parsed, dict):
        message = f'arguments {args!r} are not a JSON object: name them, like \'{{"order_id": "o-17"}}\''
        raise InvalidArguments(message)
    return parsed


def _show(status: JobStatus, *, json: bool) -> None:
    if json:
        say_json(status_fields(status))
    else:
        say(status_text(status))
    if status.state in (State.failed, State.cancelled, State.expired):
        sys.exit(1)
