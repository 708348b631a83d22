"""Log formats of the command line: lines for people, colours on a terminal, or an object a line for machines. Each says which job it is about."""

import logging
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from runner.cli.output import complain
from runner.jobs import JobLogFilter, JsonFormatter, PlainFormatter, about
from runner.plain_text import escape_logs


class LogFormat(StrEnum):
    """How a line of the log is written."""

    rich = "rich"
    plain = "plain"
    json = "json"


LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option("--log-format", help="How lines of the log are written; default: rich on a terminal, else plain.", show_default=False),
]


class _Rich(RichHandler):
    """A terminal's lines, with the job that each is about."""

    def render_message(self, record: logging.LogRecord, message: str) -> Any:
        return super().render_message(record, about(record) + message)


def handler_of(log_format: LogFormat | None) -> logging.Handler:
    """A handler that writes to stderr. Without a format: rich on a terminal, else plain."""
    if log_format is None:
        log_format = LogFormat.rich if sys.stderr.isatty() else LogFormat.plain
    handler: logging.Handler
    if log_format is LogFormat.rich:
        handler = _Rich(console=Console(stderr=True), show_path=False, markup=False, log_time_format="%H:%M:%S")
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter() if log_format is LogFormat.json else PlainFormatter())
    handler.addFilter(JobLogFilter())
    escape_logs(handler)
    return handler


def log_to_stderr(*, verbose: bool, log_format: LogFormat | None = None) -> None:
    """Send log lines to stderr: warnings, and with `verbose` informational lines too, of the app as of the library.

    Called after the app is imported. An app that has configured logging itself decides where its lines go, how they look, and from which
    level on; with `verbose` the library's own informational lines are added.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler_of(log_format))
        root.setLevel(logging.INFO if verbose else logging.WARNING)
    elif log_format is not None:
        complain("the app has configured logging itself, and keeps it: --log-format changes nothing")
    for handler in root.handlers:
        escape_logs(handler)
    library = logging.getLogger("runner")
    if verbose and library.getEffectiveLevel() > logging.INFO:
        library.setLevel(logging.INFO)
