"""Output of the command line: lines for people, JSON objects with --json, and errors on stderr."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runner.jobs import JobStatus


def say(text: str) -> None:
    """One line for people, flushed at once."""
    print(text, flush=True)


def say_json(fields: dict[str, Any]) -> None:
    """One JSON object a line, for machines."""
    print(json.dumps(fields, default=str), flush=True)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines; each column but the last is as wide as its widest cell."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def complain(text: str) -> None:
    """Why a command failed, in one line."""
    print(f"runner: {text}", file=sys.stderr, flush=True)


def log_to_stderr(*, verbose: bool) -> None:
    """Send the library's log lines to stderr: warnings, and with `verbose` informational lines too."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("runner").setLevel(logging.INFO if verbose else logging.WARNING)


def status_fields(status: JobStatus) -> dict[str, Any]:
    """A job for --json: its fields that have a value."""
    fields = asdict(status) | {"limit": status.limit, "error": status.error and status.error.document()}
    return {name: value for name, value in fields.items() if value is not None}
