"""RunTimes: how long runs of a task take, from the history, for those who are told when a job ends. Kept for a minute."""

from collections.abc import Iterable
from functools import cached_property

from runner.clock import MICROSECONDS, microseconds, wall_us
from runner.jobs import row_of
from runner.store.history import Cells, History

_OLD_US = 60 * MICROSECONDS
_HOUR_US = 3_600 * MICROSECONDS
_HOURS = 24
_MOST_KNOWN = 1_000


class RunTimes(History):
    """A part of the role of a producer."""

    @cached_property
    def _run_times(self) -> dict[str, tuple[int, int | None]]:
        """By task when it was read, and what was found."""
        return {}

    async def run_times_us(self, tasks: Iterable[str]) -> dict[str, int | None]:
        """µs within which half of the attempts of a task ended in the last 24 hours, within 41 %; None: there was none, or none was counted.

        Raises `StoreUnavailable`.
        """
        now_us = self._now_us() or wall_us()
        known = self._run_times
        wanted = dict.fromkeys(tasks)
        missing = [task for task in wanted if task not in known or not 0 <= now_us - known[task][0] < _OLD_US]
        if missing:
            if len(known) + len(missing) > _MOST_KNOWN:
                known.clear()
            known.update({task: (now_us, found) for task, found in (await self._read_run_times(missing, now_us)).items()})
        return {task: known[task][1] if task in known else None for task in wanted}

    async def _read_run_times(self, tasks: list[str], now_us: int) -> dict[str, int | None]:
        last = now_us // _HOUR_US
        kept = await self._history([f"t:{task}" for task in tasks], last - _HOURS, last, by_minute=False)
        return {task: _half_us(kept.rows[f"t:{task}"].values()) for task in tasks}


def _half_us(rows: Iterable[Cells]) -> int | None:
    cells = Cells()
    for row in rows:
        cells.update(row)
    seconds = row_of(0.0, cells).ran.percentile(0.5)
    return None if seconds is None else microseconds(seconds)
