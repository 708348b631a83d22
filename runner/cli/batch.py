"""The commands about batches: show how far one is, follow it, and cancel what has not ended of it."""

import asyncio
import sys
from typing import Annotated

import typer

from runner.cli.output import say, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.jobs import BatchProgress, flow_words

app = typer.Typer(help="See how far many jobs are that were added together, and cancel them.", no_args_is_help=True, rich_markup_mode=None)

BatchId = Annotated[str, typer.Argument(help="The batch's id.")]
_LOOK_S = 1.0


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
