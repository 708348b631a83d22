"""top: how the whole queue stands, live on the terminal: what waits, for what, how long, and who set the limit."""

from collections.abc import Sequence
from typing import Annotated

import typer

from runner.cli import overview_text
from runner.cli.live import show_live
from runner.cli.output import columns, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.store import Overview

_LINES_AROUND = 6
"""Lines beside the rows of limits."""


@about_queue
def top(
    target: Target, once: Annotated[bool, typer.Option("--once", help="Print it once, as where the output is no terminal.")] = False
) -> None:
    """Show how the queue stands, again each second: what waits at which limit, for how long, when it is clear, and who set the limit."""
    if target.json:
        say_json(target.ask(lambda client: client.overview()).document())
        return

    async def ask(client: AnyClient, most: int | None) -> Sequence[str]:
        return view(await client.overview(), most)

    show_live(target, ask, once=once)


def view(overview: Overview, most: int | None = None) -> list[str]:
    """The lines of the home view, `most` at most."""
    rows = None if most is None else max(most - _LINES_AROUND, 1)
    table = columns(list(overview_text.lines_of(overview, rows)))
    more = overview_text.not_shown(overview, len(table) - 1)
    head = [overview_text.pulse(overview), overview_text.sentence(overview), overview_text.figures(overview), ""]
    return [*head, *(table if overview.limits else ["no limits: no worker of this queue has published any"]), *([more] if more else [])]
