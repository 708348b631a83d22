"""The history as it is read: which series, from when to when, and by which step."""

from collections.abc import Sequence
from datetime import datetime

from runner.client.control import shown_limit
from runner.client.said_times import seconds_back
from runner.client.sessions import Sessions
from runner.client.spending import budget_pace, spending
from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs import QUEUE_SERIES, BudgetPace, HistoryStep, Series, Spending, SpentBy, instant_s, is_series, rows_of
from runner.limits import LimitStatus
from runner.names import unknown_name
from runner.store import JobStore

MOST_SERIES = 100
_HOUR_S = 3_600
_DEFAULT_S = {HistoryStep.minute: 3_600.0, HistoryStep.hour: 86_400.0, HistoryStep.day: 30 * 86_400.0}
"""How far back a question goes that does not say so."""


async def history_of(
    store: JobStore, series: Sequence[str], step: object, since: object, start: float | datetime | None, end: float | datetime | None
) -> list[Series]:
    """Rows of these series, of the queue if none is named. Raises `ConfigurationError`."""
    names, by = checked_names(series), checked_step(step)
    now_s = await store.history_now_us() / MICROSECONDS
    from_s, to_s = _span(by, since, start, end, now_s)
    last_hour = int(min(to_s, now_s + _HOUR_S) // _HOUR_S)
    kept = await store.history(names, int(from_s // _HOUR_S), max(last_hour, int(from_s // _HOUR_S)), by_minute=by is HistoryStep.minute)
    return [Series(name, by, tuple(rows_of(kept.rows[name], by, from_s, to_s)), kept.missing) for name in names]


def checked_names(series: Sequence[str]) -> list[str]:
    """The names of series. Raises `ConfigurationError` for one that can be none."""
    if isinstance(series, str):
        series = [series]
    names = list(dict.fromkeys(series)) or [QUEUE_SERIES]
    for name in names:
        if not is_series(name):
            raise ConfigurationError(f"series {shown(name, 80)} is none: give t:<task>, l:<limit>, or q for the whole queue")
    if len(names) > MOST_SERIES:
        raise ConfigurationError(f"{len(names)} series are asked for: ask for {MOST_SERIES} at once")
    return names


def checked_step(step: object) -> HistoryStep:
    """A step by its name. Raises `ConfigurationError`."""
    try:
        return HistoryStep(step)  # type: ignore[arg-type] # what is none is refused here
    except ValueError:
        raise ConfigurationError(unknown_name("the history", "step", str(step), [one.value for one in HistoryStep])) from None


def _span(
    step: HistoryStep, since: object, start: float | datetime | None, end: float | datetime | None, now_s: float
) -> tuple[float, float]:
    """The beginning of the first row and the end of the last. Raises `ConfigurationError`."""
    if since is not None and start is not None:
        raise ConfigurationError("since and start are both given: give one of both")
    if since is not None:
        from_s = now_s - seconds_back("history", since)
    elif start is not None:
        from_s = instant_s("start of the history", start)
    else:
        from_s = (now_s if end is None else instant_s("end of the history", end)) - _DEFAULT_S[step]
    to_s = now_s + step.seconds if end is None else instant_s("end of the history", end)
    if to_s <= from_s:
        raise ConfigurationError(
            f"the history is asked for from {from_s:.0f} to {to_s:.0f}, which is before: the end comes after the start"
        )
    if to_s - from_s > step.kept_s + 2 * step.seconds:
        other = "; ask by the hour" if step is HistoryStep.minute else ""
        raise ConfigurationError(f"{to_s - from_s:.0f} seconds are asked for: rows of a {step} are kept for {step.kept_s} seconds{other}")
    return from_s // step.seconds * step.seconds, to_s


class Remembering:
    """A part of `Client`: its verbs that tell what happened."""

    @property
    def _sessions(self) -> Sessions:
        raise NotImplementedError

    async def history(
        self,
        *series: str,
        step: HistoryStep | str = HistoryStep.minute,
        since: object = None,
        start: float | datetime | None = None,
        end: float | datetime | None = None,
    ) -> list[Series]:
        """What happened by minute, hour or day: of tasks (`t:<task>`), limits (`l:<limit>`), or without a name of the whole queue (`q`).

        From the last `since` on (seconds, or "1h"), or from `start` to `end`, seconds since 1970 or datetimes with a zone; of minutes that is the last hour unless
        it is said, of hours the last day, of days the last thirty. Minutes are kept for a day. Raises `ConfigurationError`.
        """
        return await history_of(self._sessions.here.store, series, step, since, start, end)

    async def history_series(self) -> list[str]:
        """The names of the series there are: of what happened in the last thirty days."""
        return await self._sessions.here.store.series()

    async def spent(self, limit: str, *, by: SpentBy | str = SpentBy.task, since: object = "30d") -> Spending:
        """What was spent of a budget, a `Quota` with a unit, on each day of UTC: by "task", by "key" (the first thousand that spend on a day, the others together), or by "day".

        From the day on which the last `since` began (seconds, or like "30d", up to 62 days). What `settle` corrects counts on the day of the start.
        Raises `ConfigurationError` for a limit without a unit or a key, `UnknownLimit`, `StoreUnavailable`.
        """
        return await spending(self._sessions.here.store, limit, by, since)

    async def budget(self, limit: str | LimitStatus) -> BudgetPace | None:
        """When a budget, a `Quota` with a unit and without a key, ends at the present pace, as the history has it. None while it is paused or frozen.

        limit: its name, or the limit as it was read. Raises `ConfigurationError` for another limit, `UnknownLimit`, `StoreUnavailable`.
        """
        store = self._sessions.here.store
        status = limit if isinstance(limit, LimitStatus) else await shown_limit(store, limit)
        return await budget_pace(status, await store.history_now_us() / MICROSECONDS, self.history)
