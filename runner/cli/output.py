"""How the command line speaks: lines for people, JSON objects with --json, complaints on stderr."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from runner.jobs import JobStatus, State, span


def say(text: str) -> None:
    """One line for people, at once also through a pipe."""
    print(text, flush=True)


def say_json(fields: dict[str, Any]) -> None:
    """One JSON object a line, for machines."""
    print(json.dumps(fields, default=str), flush=True)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell; the last one may be of any length."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def complain(text: str) -> None:
    """Why a command failed, in one line."""
    print(f"runner: {text}", file=sys.stderr, flush=True)


def log_to_stderr(*, verbose: bool) -> None:
    """Send the library's log lines to stderr: warnings, and with `verbose` the course of things too."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("runner").setLevel(logging.INFO if verbose else logging.WARNING)


def status_fields(status: JobStatus) -> dict[str, Any]:
    """A job for --json: as the API shows it, without what is not known."""
    return {name: value for name, value in asdict(status).items() if value is not None}


def status_text(status: JobStatus) -> str:
    """A job in a few lines: where it is, and why."""
    lines = [f"{status.id}  {status.task}  {status.state}"]
    if status.state is State.waiting:
        lines.append(
            f"  waits     {_WAITS.get(status.reason or '', status.reason)} {status.limit}, place {status.position}, {_in(status.eta_s)}"
        )
    elif status.state is State.scheduled:
        lines.append(f"  starts    {_in(status.eta_s)}, after {'a failed attempt' if status.reason == 'retry' else 'its delay'}")
    if status.cancel_requested or status.reason == "stopping":
        lines.append(
            f"  stopping  {'it was asked to stop' if status.cancel_requested else 'its time is over'}; it holds its slot until it ends"
        )
    if status.attempt:
        counts = [("failed", status.failures), ("lost with a worker", status.crashes), ("told to wait", status.throttled)]
        told = ", ".join(f"{count} {name}" for name, count in counts if count)
        lines.append(f"  attempts  {status.attempt}{f', of these {told}' if told else ''}")
    times = [
        (name, at)
        for name, at in (("submitted", status.submitted_at), ("started", status.started_at), ("finished", status.finished_at))
        if at
    ]
    lines += [f"  {name:<9} {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f} UTC" for name, at in times]
    if status.state is State.succeeded:
        lines.append(f"  result    {json.dumps(status.result)}")
    if status.error:
        lines.append(f"  error     {status.error['type']}: {json.dumps(status.error['message'])}")
    return "\n".join(lines)


_WAITS = {
    "tokens": "for tokens of",
    "concurrency": "for a slot of",
    "quota": "for the next period of",
    "frozen": "for the end of the freeze of",
    "paused": "for somebody to resume",
    "unpublished": "for a worker that declares",
}


def _in(seconds: float | None) -> str:
    return "at an unknown time" if seconds is None else f"in about {span(seconds)}"
