"""audit: who changed what, and who was refused."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from runner.access import AuditLine
from runner.cli.output import say, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which lines are printed, and how."""

    key: str | None
    as_json: bool

    def show(self, line: AuditLine) -> None:
        if self.key is not None and self.key not in (line.by.split(" ")[1:2] + line.target.split(" ")[1:2]):
            return
        if self.as_json:
            say_json(line._asdict())
            return
        at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="seconds")
        source = f" from {line.address}" if line.address else ""
        change = " -> ".join(filter(None, [line.before, line.after]))
        why = f"because: {line.reason}" if line.reason and line.reason not in change else ""
        more = "".join(f"  {text}" for text in (change, line.outcome, why) if text)
        say(f"{at}  {line.by}{source}  {line.action}  {line.target}{more}")


@about_queue
def audit(
    target: Target,
    since: Annotated[str | None, typer.Option(help="Only the last of it, like 1h.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option(help="Only what concerns the key of this id.", show_default=False)] = None,
    about: Annotated[str, typer.Option("--target", help="Only what is about it, like 'job o-17', or o-17 alone.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines as they come.")] = False,
) -> None:
    """Print who changed limits, jobs and keys, from where, and who was refused."""
    chosen = _Filter(key, target.json)

    async def ask(client: AnyClient) -> None:
        lines = await client.audit(since=since, target=about)
        after = ""
        while lines or follow:
            for line in lines:
                chosen.show(line)
                after = line.id
            if not lines:
                await asyncio.sleep(_LOOK_S)
            lines = await client.audit(after=after, target=about) if after else await client.audit(since=since, target=about)

    target.ask(ask)
