"""events: what happens on a queue, as it happens: the end of each job, in a line of its own."""

from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from runner.cli.output import say, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.errors import InvalidOption
from runner.jobs import FINAL, JobEvent


@about_queue
def events(
    target: Target,
    after: Annotated[
        str | None,
        typer.Option(help="Begin after the event of this id, or with 0 at the oldest that is kept; else from now on.", show_default=False),
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only jobs of this task; may be given again.", show_default=False)] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only ends in this state; may be given again.", show_default=False)] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Stop after so many; else with Ctrl-C.", show_default=False)] = None,
) -> None:
    """Print the end of each job as it comes, half a second late at most, with the id from which to go on."""
    for name in state or ():
        if name not in FINAL:
            raise InvalidOption(f"no job ends in the state {name!r} (known: {', '.join(sorted(FINAL))})")

    async def ask(client: AnyClient) -> None:
        shown = 0
        async with aclosing(client.events(after)) as ends:
            async for event in ends:
                if event.missed and not target.json:
                    say("some ends before this one are no longer known")
                if (not task or event.task in task) and (not state or event.state in state):
                    _show(event, as_json=target.json)
                    shown += 1
                if shown == most:
                    return

    target.ask(ask)


def _show(event: JobEvent, *, as_json: bool) -> None:
    if as_json:
        say_json(asdict(event))
        return
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
    say(f"{event.id}  {at}  {event.task}  {event.job_id}  {event.state}, attempt {event.attempt}")
