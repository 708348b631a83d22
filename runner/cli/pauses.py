"""The commands that pause the queue, a task, a pool or one value of a key, and let it go on; and pauses, which lists them."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import Target, about_queue
from runner.cli.reading import instant
from runner.client import pausable
from runner.clock import MICROSECONDS, wall_us
from runner.jobs import PauseStatus, paused_by
from runner.plain_text import escaped

What = Annotated[str, typer.Argument(help="queue, task, pool or key.")]
Name = Annotated[str, typer.Argument(help='Of the task or the pool; of a key its bucket, like "tenant/t7".')]


@about_queue
def pause(
    target: Target,
    what: What,
    name: Name = "",
    reason: Annotated[str, typer.Option(help="Why; shown with every job that waits for it.")] = "",
    lasts: Annotated[
        str | None, typer.Option("--for", help='How long: seconds, or "1h". Else until it is resumed.', show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when, with a time zone: 2026-11-30T06:00:00Z.", show_default=False)] = None,
) -> None:
    """Let nothing more start of the queue, a task, a pool or one value of a key. Running jobs go on, and no job is lost."""
    kind, end = pausable(what, name), instant("--until", until)
    paused = target.ask(lambda client: client.pauses.pause(kind.value, name, reason, duration=lasts, until=end))
    if target.json:
        say_json(paused.document())
        return
    say(f"{paused.target} is {paused_by(paused, wall_us() / MICROSECONDS)}")
    if paused.unaware_workers:
        count = paused.unaware_workers
        whose = "1 live worker is of a version that does" if count == 1 else f"{count} live workers are of versions that do"
        say(f"warning: {whose} not know of pauses, and what it claims starts all the same: stop it, or pause a limit instead")


@about_queue
def resume(target: Target, what: What, name: Name = "") -> None:
    """End a pause: what waits goes on at once, in the order of before."""
    kind = pausable(what, name)
    over = target.ask(lambda client: client.pauses.resume(kind.value, name))
    if target.json:
        say_json({"resumed": over and over.document()})
        return
    said = " ".join(filter(None, (kind.value, name)))
    say(f"{over.target} goes on; it was {paused_by(over, wall_us() / MICROSECONDS)}" if over else f"{said} was not paused")


@about_queue
def pauses(target: Target) -> None:
    """List what is paused: since when, by whom, why, and until when."""
    found = target.ask(lambda client: client.pauses.list())
    if target.json:
        for one in found:
            say_json(one.document())
        return
    if not found:
        say("nothing is paused; a limit that is says so in: limits list")
        return
    for line in columns([("PAUSED", "SINCE", "UNTIL", "BY", "REASON"), *map(_row, found)]):
        say(line)


def _row(one: PauseStatus) -> tuple[str, ...]:
    until = "resumed" if one.until_at is None else _text(one.until_at)
    return one.target, _text(one.since_at), until, escaped(one.by), escaped(one.reason)


def _text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC"
