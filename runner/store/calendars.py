"""Calendars: publishes the instants at which the periods of quotas begin, which no script could work out with time zones."""

from runner.limits import period_starts
from runner.store.queue import QueueStore
from runner.store.text import decoded


class Calendars(QueueStore):
    """What both the publication of limits and the leader's duties do for calendars."""

    async def limit_names(self) -> list[str]:
        """Every limit of the catalog."""
        return sorted(decoded(name) for name in await self._run("limits", most_buckets=0, asked=""))

    async def extend_calendar(self, calendar: str) -> None:
        """Publish the instants at which the periods of a calendar begin, from the present one on, and forget past ones."""
        now_us = self._now_us() or await self._server_us()
        per, _, tz = calendar.partition(":")
        await self._run("calendar", period_starts(per, tz, now_us), calendar=calendar)
