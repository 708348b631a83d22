"""Ran: what became of one run of a handler, before it is decided what the attempt comes to."""

from typing import Any, NamedTuple

from runner.jobs import Amendment


class Returned(NamedTuple):
    """The handler returned."""

    value: Any


class Raised(NamedTuple):
    """The handler raised, by itself: a cancellation from outside is none of these."""

    error: BaseException


class TimedOut(NamedTuple):
    """It was stopped at its time-out; `error` shows where it was."""

    timeout_s: float
    error: BaseException


class PastDeadline(NamedTuple):
    """It was stopped at its job's deadline; `error` shows where it was."""

    error: BaseException


class Refused(NamedTuple):
    """It never ran: no other worker, and no later attempt, could do better."""

    kind: str
    text: str


class Unreadable(NamedTuple):
    """It never ran: its arguments are those of another version of the task, whose workers may do better."""

    refused: Refused


class Amended(NamedTuple):
    """It never ran: it needs other buckets than it has."""

    amendment: Amendment


Ran = Returned | Raised | TimedOut | PastDeadline | Refused | Unreadable | Amended
