"""PriorityShares: how many starts each lower priority is owed, so that endless jobs of a higher one cannot keep it out for ever."""

from collections.abc import Sequence

from runner.jobs import Priority, StartedJob

_LOWER = (Priority.normal, Priority.low)


class PriorityShares:
    """Counts of one worker. Each lower priority gets at least the part `least` of the worker's starts while it has jobs."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._owed = dict.fromkeys(_LOWER, 0.0)

    def owed(self, priority: Priority) -> int:
        """How many jobs of this priority the next claim starts before all others."""
        return int(self._owed[priority])

    def started(self, jobs: Sequence[StartedJob]) -> None:
        """Note what a claim has started. A priority without jobs saves nothing up, and one that got more than its share owes nothing."""
        started = [job.priority for job in jobs]
        due = len(started) * self._least
        for priority in _LOWER:
            got, owed = started.count(priority), self._owed[priority]
            rest = owed + due - got
            self._owed[priority] = max(min(rest, 1.0) if got < int(owed) else rest, 0.0)
