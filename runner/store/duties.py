"""Duties: election, and what the leader does at its time. One method per script."""

from enum import StrEnum

from runner.clock import microseconds, milliseconds
from runner.connection import command, translated_errors
from runner.store import published, replies, statuses
from runner.store.bulks import BulkPages
from runner.store.calendars import Calendars
from runner.store.history import History
from runner.store.pauses import Pauses
from runner.store.portions import (
    MOST_LET_GO,
    MOST_LIMITS,
    MOST_MENDED,
    MOST_MOVED,
    MOST_PER_CALL,
    MOST_SWEPT,
    MOST_TAKEN_BACK,
    MOST_TOLD,
    portions,
)
from runner.store.text import decoded

_POOL_TTL_S = 86_400.0
"""After this time a pool is forgotten that is empty and that no worker has read."""
_A_PAGE = 500
"""Keys that one look for orphans passes, of all queues of the server: Redis looks at so many in 0.1 ms."""


class Nudge(StrEnum):
    """Why a script interrupts the leader's timer."""

    wake = "1"
    retime = "retime"


class Duties(BulkPages, History, Calendars, Pauses):
    """The role of a leader, and of a worker that stands in for it. Each duty is safe with no leader, with one, and with two."""

    async def lead(self, worker: str, term: int) -> replies.Election:
        """Become or stay leader, or learn who it is, and perhaps become the one that watches it."""
        return replies.election(await self._run("lead", worker=worker, term=term, ttl_ms=milliseconds(self.settings.lease_s)))

    async def resign(self, worker: str, term: int) -> None:
        """Let another worker lead at once, or watch."""
        await self._run("lead", worker=worker, term=term, ttl_ms=0)

    async def wait_for_nudge(self, timeout_s: float) -> Nudge | None:
        """Wait until a script sets an earlier wake, or leaves buckets to retime; None after `timeout_s`."""
        with translated_errors():
            popped = await command(self._blocking, "BLPOP", self.keys.nudge, f"{timeout_s:.6f}")
        return Nudge(decoded(popped[1])) if popped else None

    async def take_nudge(self) -> Nudge | None:
        """The nudge that is there, for a leader that waits for none."""
        with translated_errors():
            taken = await command(self.redis, "LPOP", self.keys.nudge)
        return Nudge(decoded(taken)) if taken else None

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
        return replies.Released(*await self._run("refill", budget=MOST_MOVED, check_clock=int(check_clock), watch=int(watch)))

    async def retime(self) -> bool:
        """Make one page of the buckets due that a change of their limit concerns, or a clock that went back; whether pages are left."""
        return bool(await self._run("retime", budget=MOST_PER_CALL))

    async def rouse(self, passed: int) -> int:
        """Look over one page of the waiting buckets, after the `passed` ones; how many are passed then, 0 at the end."""
        return int(await self._run("rouse", passed=passed, budget=MOST_MOVED))

    async def promote(self) -> tuple[int, int]:
        """Enqueue the delayed jobs that are due: (promoted, µs until the next, -1 if there is none)."""
        return (await self.promote_and_look())[:2]

    async def promote_and_look(self) -> tuple[int, int, int | None]:
        """The same, and the µs until the next schedule is due: negative if it is late, None if there is none."""
        promoted, next_us, schedule_us = await self._run("promote", budget=MOST_MOVED)
        return promoted, next_us, int(schedule_us) if schedule_us else None

    async def expire(self) -> tuple[int, int]:
        """End the jobs that have waited longer than their max_wait: (expired, µs until the next is due, -1 if there is none)."""
        expired, next_us = await self._run("expire", budget=MOST_MOVED)
        return expired, next_us

    async def reclaim(self, not_after_us: int = 0) -> replies.Reclaimed:
        """Take back what lapsed workers hold, unless the call reaches Redis after `not_after_us` by its clock (0: whenever it does)."""
        return replies.Reclaimed(*await self._run("reclaim", budget=MOST_TAKEN_BACK, not_after_us=not_after_us))

    async def orphans(self, cursor: bytes) -> tuple[bytes, int]:
        """Look through one page of all jobs for those that run and that nobody holds.

        Where the next page begins (b"0" after the last), and how many were taken back.
        """
        with translated_errors():
            cursor, keys = await command(self.redis, "SCAN", cursor, "MATCH", self.keys.job("*"), "COUNT", _A_PAGE)
        ids = [key.removeprefix(self.keys.job("").encode()) for key in keys]
        taken = at = 0
        while at < len(ids):
            here, looked = await self._run("orphans", ids[at : at + MOST_PER_CALL])
            taken, at = taken + int(here), at + int(looked)
        return cursor, taken

    async def adapt(self) -> replies.Adapted:
        """Lower the rates of limits whose providers have said wait again, and raise others that were lowered."""
        next_us, *flat = await self._run("adapt")
        rows = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        return replies.Adapted(next_us, [(decoded(name), int(share), int(before)) for name, share, before in rows])

    async def open_pools(self) -> replies.OpenedPools:
        """Bring waiting lines back whose pool has free slots again, and forget pools that nobody has used for a day."""
        has_pools, lines, *forgotten = await self._run("open_pools", budget=MOST_LET_GO, ttl_us=microseconds(_POOL_TTL_S))
        return replies.OpenedPools(bool(has_pools), int(lines), [decoded(pool) for pool in forgotten])

    async def unhold(self) -> bool:
        """Return jobs to where they belong that no worker could run, now that one can; whether there are more."""
        _, more = await self._run("unhold", budget=MOST_LET_GO)
        return bool(more)

    async def repair(self) -> tuple[int, bool]:
        """Look over one page of what points at jobs, and put right what their records do not bear out: how much, and whether there is much to look over."""
        mended, has_much = await self._run("repair", budget=MOST_MENDED)
        return int(mended), bool(has_much)

    async def advance(self) -> bool:
        """Tell followers what their parents came to, as far as that was left to the leader; whether there are more."""
        _, more = await self._run("advance", budget=MOST_TOLD)
        return bool(more)

    async def sweep(self, cursor: int = 0) -> replies.Swept:
        """Remove from one page of the catalog what nobody has declared for `catalog_ttl_s`; `cursor` is what the page before returned."""
        ttl_us = microseconds(self.settings.catalog_ttl_s)
        return replies.swept(await self._run("sweep", cursor=cursor, budget=MOST_SWEPT, ttl_us=ttl_us))

    async def trim(self) -> tuple[int, bool]:
        """Forget dead letters older than their time to live: how many, and whether there are more."""
        forgotten, more = await self._run("trim")
        return int(forgotten), bool(more)

    async def extend_calendars(self) -> None:
        """Publish the coming periods of every calendar that a limit in force uses."""
        # Only policies are needed here.
        answers = [await self._run("limits", part, most_buckets=0, asked="") for part in portions(await self.limit_names(), MOST_LIMITS)]
        policies = [statuses.limit_status(row).policy for rows in answers for row in rows if published.is_limit(row[0])]
        for calendar in {policy.calendar for policy in policies if policy.calendar}:
            await self.extend_calendar(calendar)
