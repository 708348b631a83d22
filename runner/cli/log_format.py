"""Log formats of the command line: lines for people, colours on a terminal, or an object a line for machines. Each says which job it is about."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from runner.cli.output import complain
from runner.foreign import asked, kind_of, shown, text_of
from runner.jobs import JobLogFilter
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

_MOST_SHOWN = 1_000
_CONTEXT = ("job", "task", "attempt", "queue")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "exc_text", "taskName", "about", *_CONTEXT}
"""What every record has; the rest is of who logged it."""


class PlainFormatter(logging.Formatter):
    """`2026-11-29 12:00:01,123 WARNING shop [charge 3fa2... #2] text`; without the brackets outside of a job."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(about)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and its traceback indented below it."""
        vars(record)["about"] = about(record)
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message; job, task, attempt and queue of a job's lines; error, traceback; what else was given."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. Whatever it was given to say, no character of it ends the line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = vars(record)
        fields |= {name: given[name] for name in _CONTEXT if given.get(name) not in (None, "")}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = f"{kind_of(record.exc_info[1])}: {text_of(record.exc_info[1])}"
            fields["traceback"] = record.exc_text or self.formatException(record.exc_info)
        extras = {name: value for name, value in given.items() if name not in _OWN and name not in fields}
        return asked(lambda: json.dumps(fields | extras, default=_in_words), lambda _: json.dumps(fields, default=_in_words))


def _in_words(value: object) -> str:
    return shown(value, _MOST_SHOWN)


class _Rich(RichHandler):
    """A terminal's lines, with the job that each is about."""

    def render_message(self, record: logging.LogRecord, message: str) -> Any:
        return super().render_message(record, about(record) + message)


def about(record: logging.LogRecord) -> str:
    """The job of a line, in brackets; nothing outside of one."""
    fields = vars(record)
    return f"[{fields['task']} {fields['job']} #{fields['attempt']}] " if fields.get("job") else ""


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
