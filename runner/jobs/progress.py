"""Progress: how far an attempt is, as its handler has said it, on its way to Redis and in the status of its job."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

LONGEST_NOTE = 200
_EXACT = 2**53
_MILLISECONDS = 1_000


@dataclass(slots=True, frozen=True)
class Progress:
    """How far a job is: `done` of `total` (None: unknown), what it is at (`note`, "" for nothing), said at `at`, seconds since 1970."""

    done: float
    total: float | None
    note: str
    at: float

    @property
    def fraction(self) -> float | None:
        """The part that is done, from 0 to 1; None if the total is unknown."""
        return None if not self.total else min(max(self.done / self.total, 0.0), 1.0)

    def document(self) -> dict[str, Any]:
        """As the command line shows it."""
        return {"done": self.done, "total": self.total, "note": self.note, "at": self.at}


class Reported(NamedTuple):
    """What a handler has said last."""

    done: float
    total: float | None
    note: str

    def encoded(self, attempt: int) -> bytes:
        """As the scripts take it: JSON, to which they add the instant."""
        return json.dumps([attempt, *self]).encode()


class Noted:
    """What `progress()` returns: it is noted already, and may be awaited in async code or left in plain code."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


NOTED = Noted()


def reported(done: float, total: float | None, note: str | None) -> Reported:
    """What a handler says. Raises ValueError for what is no number, or no text."""
    for name, value in (("done", done), ("total", total)):
        if value is None and name == "total":
            continue
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _EXACT:
            raise ValueError(f"progress: {name} is {value!r:.80}, and must be a number from 0 to 2^53")
    if note is not None and not isinstance(note, str):
        raise ValueError(f"progress: note is {note!r:.80}, and must be a text")
    return Reported(done, total, note[:LONGEST_NOTE].encode(errors="backslashreplace").decode() if note else "")


def progress_of(fields: Sequence[Any], attempt: int) -> Progress | None:
    """From what a script wrote; None if another attempt runs since. Raises ValueError or TypeError for what is none."""
    number, done, total, note, at_ms = fields
    if number != attempt:
        return None
    return Progress(done, total, str(note), at_ms / _MILLISECONDS)
