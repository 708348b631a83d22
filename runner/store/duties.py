"""Duties: election, and what the leader does at its time. One method per script."""

from runner.clock import milliseconds
from runner.connection import command, translated_errors
from runner.store import replies, statuses
from runner.store.calendars import Calendars
from runner.store.queue import MOST_PER_CALL


class Duties(Calendars):
    """The role of a leader, and of a worker that stands in for it. Each duty is safe with no leader, with one, and with two."""

    async def lead(self, worker: str, term: int) -> tuple[int, str, int]:
        """Become or stay leader: (the term led, 0 if another worker leads; the worker that leads; how many workers hold a lease)."""
        led, leader, workers = await self._run("lead", worker=worker, term=term, ttl_ms=milliseconds(self.settings.lease_s))
        return led, leader.decode(), workers

    async def resign(self, worker: str, term: int) -> None:
        """Let another worker lead at once."""
        await self._run("lead", worker=worker, term=term, ttl_ms=0)

    async def wait_for_nudge(self, timeout_s: float) -> bool:
        """Wait until a script sets an earlier wake; False after `timeout_s`."""
        with translated_errors():
            return await command(self._blocking, "BLPOP", self.keys.nudge, f"{timeout_s:.6f}") is not None

    async def refill(self, *, check_clock: bool = True) -> tuple[int, int]:
        """Release the waiting jobs whose tokens have landed: (released, µs until the next wake, -1 if no job waits).

        With `check_clock` the script also checks whether Redis's clock went back.
        """
        released = await self._release(check_clock=check_clock, watch=False)
        return released.jobs, released.next_wake_us

    async def refill_and_watch(self) -> replies.Released:
        """The same, and how overdue the earliest wake was: that shows whether a leader is at work."""
        return await self._release(check_clock=False, watch=True)

    async def _release(self, *, check_clock: bool, watch: bool) -> replies.Released:
        return replies.Released(*await self._run("refill", budget=MOST_PER_CALL, check_clock=int(check_clock), watch=int(watch)))

    async def promote(self) -> tuple[int, int]:
        """Enqueue the delayed jobs that are due: (promoted, µs until the next, -1 if there is none)."""
        promoted, next_us = await self._run("promote", budget=MOST_PER_CALL)
        return promoted, next_us

    async def expire(self) -> tuple[int, int]:
        """End the jobs that have waited longer than their max_wait: (expired, µs until the next is due, -1 if there is none)."""
        expired, next_us = await self._run("expire", budget=MOST_PER_CALL)
        return expired, next_us

    async def reclaim(self) -> tuple[int, int, int]:
        """Take back what lapsed workers hold: (entries, workers removed, jobs given up as poison)."""
        entries, workers, poisoned = await self._run("reclaim", budget=MOST_PER_CALL)
        return entries, workers, poisoned

    async def trim(self) -> int:
        """Forget dead letters older than their time to live; how many."""
        return int(await self._run("trim"))

    async def extend_calendars(self) -> None:
        """Publish the coming periods of every calendar that a limit in force uses."""
        # Only policies are needed here, and as few buckets as the script can leave it at.
        policies = [statuses.limit_status(row).policy for row in await self._run("limits", most_buckets=1, name="")]
        for calendar in {policy.calendar for policy in policies if policy.calendar}:
            await self.extend_calendar(calendar)
