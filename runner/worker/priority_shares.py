"""PriorityShares: what each lower priority is owed of a worker's starts, so that endless jobs of a higher one cannot keep it out for ever."""

from collections.abc import Sequence

from runner.jobs import Priority, StartedJob

_LOWER = (Priority.normal, Priority.low)


class PriorityShares:
    """Counts of one worker. `least` is the part of its starts that each lower priority gets at least while it has jobs."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._owed = dict.fromkeys(_LOWER, 0.0)

    def owed(self, priority: Priority) -> int:
        """How many jobs of this priority come before all others now."""
        return int(self._owed[priority])

    def started(self, jobs: Sequence[StartedJob]) -> None:
        """Note what a claim has started. Nothing is saved up for a priority that had no jobs, nor charged for more than its share."""
        started = [job.priority for job in jobs]
        due = len(started) * self._least
        for priority in _LOWER:
            got, owed = started.count(priority), self._owed[priority]
            rest = owed + due - got
            self._owed[priority] = max(min(rest, 1.0) if got < int(owed) else rest, 0.0)
