"""Acts upon many jobs at once: what they are, upon jobs in which states, and how far one is. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runner.errors import RunnerError
from runner.jobs.job import FINAL, State


class CountChanged(RunnerError):
    """An act upon many jobs was confirmed with another number than are counted, or before they are. counted: how many there are."""

    counted: int = 0


class TooManyBulks(RunnerError):
    """As many acts upon many jobs are open as there may be at once."""


class UnknownBulk(RunnerError, LookupError):
    """No act upon many jobs of this id: never begun, or over for more than a week."""


class BulkAction(StrEnum):
    """What is done to each job."""

    cancel = "cancel"
    retry = "retry"
    delete = "delete"
    purge = "purge"
    """Cancel what is not running, and delete it with what has ended."""

    @property
    def states(self) -> frozenset[State]:
        """Jobs in other states are left alone."""
        return _STATES[self]


_STATES: Mapping[BulkAction, frozenset[State]] = {
    BulkAction.cancel: frozenset(State) - FINAL,
    BulkAction.retry: FINAL - {State.succeeded},
    BulkAction.delete: FINAL,
    BulkAction.purge: frozenset(State) - {State.running},
}


class BulkPhase(StrEnum):
    """How far it is."""

    counting = "counting"
    counted = "counted"
    """It waits to be confirmed, for an hour."""
    acting = "acting"
    done = "done"
    stopped = "stopped"
    lapsed = "lapsed"
    """Nobody confirmed it."""

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or can."""
        return self in (BulkPhase.counting, BulkPhase.counted, BulkPhase.acting)


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """An act upon all jobs that a filter asks for. Times are seconds since 1970 by Redis's clock.

    counted: how many jobs there were; what is to be confirmed. done: how many it was done to. skipped: how many it could not be done to, and
    `why` with the number of each. What had moved, or ended, before its turn is in neither.
    """

    id: str
    action: BulkAction
    phase: BulkPhase
    filter: Mapping[str, Any]
    by: str
    reason: str = ""
    counted: int = 0
    done: int = 0
    skipped: int = 0
    why: Mapping[str, int] = field(default_factory=dict)
    began_at: float | None = None
    counted_at: float | None = None
    confirmed_at: float | None = None
    ended_at: float | None = None
