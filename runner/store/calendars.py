"""Calendars: publishes the instants at which the periods of quotas begin, which no script could work out with time zones."""

from runner.clock import MICROSECONDS
from runner.connection import command, translated_errors
from runner.limits import period_starts
from runner.store.queue import QueueStore


class Calendars(QueueStore):
    """What both the publication of limits and the leader's duties do for calendars."""

    async def extend_calendar(self, calendar: str) -> None:
        """Publish the instants at which the periods of a calendar begin, from the present one on, and forget past ones."""
        with translated_errors():
            seconds, micros = await command(self.redis, "TIME")
        now_us = self._now_us() or int(seconds) * MICROSECONDS + int(micros)
        per, _, tz = calendar.partition(":")
        await self._run("calendar", period_starts(per, tz, now_us), calendar=calendar)
