"""Plain text: what others wrote, in logs and on terminals, without the characters that end a line, move the cursor or turn the writing."""

import logging
import re
from typing import Any

from runner.foreign import Indented, asked
from runner.traces import trace_of

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_LINE = re.compile(f"\n|{_UNSAFE.pattern}")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*")


def is_line(text: object, most: int, *, least: int = 0) -> bool:
    """Whether it is a text of so many characters that people can be shown as one line: none of them ends it, turns the writing or is half of one."""
    return isinstance(text, str) and least <= len(text) <= most and _LINE.fullmatch(text) is not None


def escaped(text: str, *, in_one_line: bool = True) -> str:
    """The text with each such character as Python writes it in a literal. A line's end stays one unless it is to be `in_one_line`."""
    pattern = _UNSAFE_IN_LINE if in_one_line else _UNSAFE
    return pattern.sub(lambda found: repr(found[0])[1:-1], text) if pattern.search(text) else text


class Escaping(logging.Filter):
    """Escapes what a log line was given to say, and its traceback, whoever formats the line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_plain, record.args))
        elif isinstance(record.args, dict):
            record.args = {name: _plain(value) for name, value in record.args.items()}
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = _traceback(record.exc_info[1])
        return True


def escape_logs(logger: logging.Logger | logging.Handler) -> None:
    """What is logged there goes through `Escaping`, once."""
    if not any(isinstance(known, Escaping) for known in logger.filters):
        logger.addFilter(Escaping())


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, Indented)):
        return value
    text = asked(lambda: str(value), lambda _: None)
    plain = text and escaped(text)
    return value if plain is text else plain


def _traceback(error: BaseException) -> str:
    """The lines of a traceback, each indented: none of them can look like a line of the log."""
    return "\n".join(f"  {escaped(line)}" for line in trace_of(error).split("\n"))
