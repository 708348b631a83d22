"""The commands about batches: begin one and seal it, show how far one is, follow it, and cancel what has not ended of it."""

import asyncio
import sys
from typing import Annotated, cast

import typer

from runner.cli.output import say, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.cli.reading import json_object
from runner.client import JobRequest
from runner.errors import InvalidArguments
from runner.jobs import BatchProgress, OnFailure, flow_words

app = typer.Typer(help="Begin a batch, see how far its jobs are, and cancel them.", no_args_is_help=True, rich_markup_mode=None)

BatchId = Annotated[str, typer.Argument(help="The batch's id.")]
_LOOK_S = 1.0


@app.command()
@about_queue
def begin(
    target: Target,
    batch_id: BatchId,
    then: Annotated[str | None, typer.Option(help="The task of a job that runs once all its jobs have ended.", show_default=False)] = None,
    args: Annotated[str, typer.Option(help="The arguments of that job, as a JSON object.")] = "{}",
    on_failure: Annotated[
        str, typer.Option("--on-failure", help="What becomes of that job if one does not succeed: cancel, fail or run.")
    ] = "run",
    size: Annotated[int, typer.Option(min=0, help="How many jobs are coming; 0: unknown.")] = 0,
) -> None:
    """Begin a batch, or go on with one: `submit --batch ID` adds a job to it, until it is sealed."""
    arguments = json_object("arguments", args, '{"day": "2030-01-31"}', InvalidArguments)
    following = None if then is None else JobRequest(then, arguments)

    async def ask(client: AnyClient) -> BatchProgress:
        batch = await client.begin_batch(batch_id, then=following, size=size, on_failure=cast("OnFailure", on_failure))
        return await batch.progress()

    _print(target.ask(ask), as_json=target.json)


@app.command()
@about_queue
def seal(target: Target, batch_id: BatchId) -> None:
    """Let no further job be added to a batch: it has ended once all its jobs have, and then the job runs that follows it."""
    _print(target.ask(lambda client: client.open_batch(batch_id).seal()), as_json=target.json)


@app.command()
@about_queue
def show(
    target: Target,
    batch_id: BatchId,
    watch: Annotated[bool, typer.Option("--watch", help="Print it again whenever it has changed, until it has ended.")] = False,
) -> None:
    """Print how many jobs of a batch are where. Exit code 1 if it has ended and not all of them have succeeded."""

    async def ask(client: AnyClient) -> BatchProgress:
        batch, last = client.open_batch(batch_id), None
        while True:
            progress = await batch.progress()
            if progress != last:
                _print(progress, as_json=target.json)
            if progress.has_ended or not watch:
                return progress
            last = progress
            await asyncio.sleep(_LOOK_S)

    progress = target.ask(ask)
    if progress.has_ended and progress.succeeded < progress.total:
        sys.exit(1)


@app.command("list")
@about_queue
def list_open(target: Target) -> None:
    """Print how far the batches are that have not ended, the latest first, 100 at most."""
    found = target.ask(lambda client: client.batches())
    if target.json:
        say_json({"batches": [progress.document() for progress in found]})
    else:
        say("\n".join(map(flow_words, found)) or "no batch is open")


@app.command()
@about_queue
def cancel(target: Target, batch_id: BatchId) -> None:
    """Cancel what has not ended of a batch, and the job that follows it. Running jobs end when their handlers do."""
    _print(target.ask(lambda client: client.open_batch(batch_id).cancel()), as_json=target.json)


def _print(progress: BatchProgress, *, as_json: bool) -> None:
    if as_json:
        say_json(progress.document())
    else:
        say(flow_words(progress))
