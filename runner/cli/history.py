"""history: what happened by minute, hour or day."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import Target, about_queue
from runner.jobs import HistoryRow, HistoryStep, Series

_COUNTS = ("submitted", "started", "succeeded", "failed", "cancelled", "expired", "retried", "throttled", "repeated", "waiting_sum")
_HEADS = {"waiting_sum": "WAITING"}
_PARTS = (0.5, 0.95)


@about_queue
def history(
    target: Target,
    series: Annotated[
        list[str] | None, typer.Argument(help="t:<task>, l:<limit>, or q for the whole queue, which is meant unless it is said.")
    ] = None,
    step: Annotated[
        HistoryStep, typer.Option(help="The time of a row. Minutes are kept for a day, hours for thirty.")
    ] = HistoryStep.minute,
    since: Annotated[str | None, typer.Option(help="Only the last of it, like 1h.", show_default=False)] = None,
    names: Annotated[bool, typer.Option("--names", help="Print the names of the series there are.")] = False,
) -> None:
    """Print what happened: jobs that came and ended, starts, throttled attempts, and how long jobs waited and ran."""
    if names:
        for name in target.ask(lambda client: client.history_series()):
            if target.json:
                say_json({"series": name})
            else:
                say(name)
        return
    for one in target.ask(lambda client: client.history(*(series or ()), step=step, since=since)):
        if target.json:
            say_json(one.document())
        else:
            _show(one)


def _show(series: Series) -> None:
    rows = [row for row in series.rows if row.waited.count or any(getattr(row, name) for name in _COUNTS)]
    if not rows:
        say(f"{series.name}: nothing happened in this time")
        return
    counts = [name for name in _COUNTS if any(getattr(row, name) for row in rows)]
    times = [name for name in ("waited", "ran") if any(getattr(row, name).count for row in rows)]
    head = [
        series.name,
        *(_HEADS.get(name, name.upper()) for name in counts),
        *(f"{name.upper()} p{part * 100:.0f}" for name in times for part in _PARTS),
    ]
    for line in columns([head, *(_cells(row, counts, times) for row in rows)]):
        say(line)
    if series.missing_minutes:
        say(f"({series.missing_minutes} minutes are not counted in yet)")


def _cells(row: HistoryRow, counts: list[str], times: list[str]) -> list[str]:
    at = datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m-%d %H:%MZ")
    spans = [_span(getattr(row, name).percentile(part)) for name in times for part in _PARTS]
    return [at, *(str(getattr(row, name)) for name in counts), *spans]


def _span(seconds: float | None) -> str:
    """About so long: an octave is all that is known."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"~{seconds * 1_000:.0f} ms"
    return f"~{seconds:.1f} s" if seconds < 100 else f"~{seconds:.0f} s"
