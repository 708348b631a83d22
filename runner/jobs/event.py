"""JobEvent: the end of a job, as the history of its queue has it."""

import re
from dataclasses import dataclass

from runner.errors import InvalidOption
from runner.jobs.job import State
from runner.names import fits

_EVENT_ID = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")

BEGINNING = "0-0"
"""The id before that of the first event."""


@dataclass(slots=True, frozen=True)
class JobEvent:
    """A job has ended. `id` is the place of the event in the history: ids grow, and `events(after=id)` goes on from there.

    `at` is in seconds since 1970 by Redis's clock. `missed`: events before this one are no longer known, as the history keeps so many as
    `history_length` says.
    """

    id: str
    job_id: str
    task: str
    state: State
    attempt: int
    at: float
    missed: bool = False


def check_event_id(event_id: str) -> str:
    """The id. Raises `InvalidOption` for one that no event can have."""
    if not fits(_EVENT_ID, event_id):
        raise InvalidOption(
            f"event id {event_id[:40]!r} cannot be used: give the id of an event, like 1764417600000-0, or 0 for all that are kept"
        )
    return event_id
