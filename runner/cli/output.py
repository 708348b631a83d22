"""Output of the command line: lines for people, JSON objects with --json, and errors on stderr."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from runner.jobs import JobStatus
from runner.plain_text import escaped


def say(text: str) -> None:
    """One line for people, flushed at once. What others wrote cannot move the cursor."""
    _write(escaped(text, in_one_line=False))


def say_json(fields: dict[str, Any]) -> None:
    """One JSON object a line, for machines."""
    _write(json.dumps(fields, default=str))


def _write(line: str) -> None:
    """In one write, as several processes can share the output."""
    print(f"{line}\n", end="", flush=True)


@contextmanager
def although_unread() -> Iterator[None]:
    """For what works on: whoever reads the output may have gone, and then nothing more is written there."""
    try:
        yield
    except OSError:
        discard_output()


def discard_output() -> None:
    """The other end is closed. The interpreter flushes at its exit, and would report that then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines; each column but the last is as wide as its widest cell."""
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def complain(text: str) -> None:
    """Why a command failed, in one line."""
    print(f"runner: {escaped(text, in_one_line=False)}", file=sys.stderr, flush=True)


def status_fields(status: JobStatus) -> dict[str, Any]:
    """A job for --json: its fields that have a value."""
    fields = asdict(status) | {"limit": status.limit, "error": status.error and status.error.document()}
    return {name: value for name, value in fields.items() if value is not None and value not in ((), {})}
