"""How lines of the log are written that say which job they are about: for people, or an object a line for machines."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from runner.foreign import asked, kind_of, shown, text_of

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


def about(record: logging.LogRecord) -> str:
    """The job of a line, in brackets; nothing outside of one."""
    fields = vars(record)
    return f"[{fields['task']} {fields['job']} #{fields['attempt']}] " if fields.get("job") else ""
