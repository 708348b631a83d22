"""Limits: how the limits of a queue stand, tokens without a job, and changes of limits. One method per script."""

from collections.abc import Sequence

from runner.limits import Limit, LimitStatus
from runner.store import published, replies, scripts, statuses
from runner.store.declarations import Declarations
from runner.store.observation import Heard, Observation
from runner.store.portions import MOST_LIMITS, MOST_PER_CALL, portions
from runner.store.text import decoded


class Limits(Declarations):
    """What is declared on a queue, and how its limits stand. `StoreUnavailable` means try again later."""

    # The limits

    async def policies(self) -> dict[str, Limit]:
        """The limits in force, by name."""
        return {status.name: status.policy for status in await self.limits(most_buckets=0)}

    async def declared(self) -> dict[str, Limit]:
        """The limits as the code declares them, by name: no override changes what a job needs, or whether it can ever start."""
        return {status.name: status.code for status in await self.limits(most_buckets=0)}

    async def limits(self, name: str = "", *, most_buckets: int = 100, bucket: str = "") -> list[LimitStatus]:
        """Every limit, or the one of this name, with its live buckets: those of a limit with a key where most jobs wait, and `bucket`.

        With `most_buckets` 0 nobody who waits is counted, so this costs Redis least. One whose entry was damaged by hand is left out.
        """
        names = [name] if name else await self.limit_names()
        asked = [await self._run("limits", part, most_buckets=most_buckets, asked=bucket) for part in portions(names, MOST_LIMITS)]
        readable = [row for rows in asked for row in rows if published.is_limit(row[0])]
        return sorted(map(statuses.limit_status, readable), key=lambda status: status.name)

    # Tokens without a job

    async def observe(self, words: Sequence[Observation]) -> list[Heard]:
        """Lower buckets to what their providers say is left. Words of attempts that are over, or older ones, change nothing."""
        heard: list[Heard] = []
        for part in portions(words, MOST_PER_CALL // 8):
            now_us, *rows = await self._run("observe", [word for observation in part for word in observation])
            heard += [Heard(lowered, None if int(ago) < 0 else int(ago), int(now_us), decoded(levels)) for lowered, ago, levels in rows]
        return heard

    async def take(self, ticket: str, limits: str, line: str, *, lapse_us: int = 0, wait_us: int = 0) -> replies.Decision:
        """Take tokens now, or with `wait_us` stand in line for them for so long, and longer if `tend` is called meanwhile.

        The end of the ticket is announced like the end of a job.
        """
        answer = await self._run("take", id=ticket, limits=limits, line=line, lapse_us=lapse_us, tended_us=max(wait_us, 0))
        return replies.decision(answer)

    async def tend(self, buckets: Sequence[str], tickets: Sequence[tuple[str, int]] = ()) -> replies.Tended:
        """Keep tickets in line for another so many µs, and serve the lines of these buckets if no worker leads the queue."""
        rest: list[scripts.Argument] = [*buckets, *(word for ticket in tickets for word in ticket)]
        led, served, late_us, *waits_us = await self._run("tend", rest, names=len(buckets))
        return replies.Tended(bool(led), served, late_us, waits_us)

    async def hold(self, ticket: str, limits: str, lapse_us: int) -> int:
        """Keep the concurrency slots of a ticket for another `lapse_us`, or with 0 give them back. Returns how many buckets it still holds."""
        return int(await self._run("hold", id=ticket, limits=limits, lapse_us=lapse_us))

    # Control

    async def override(self, name: str, policy: str, duration_us: int, reason: str) -> bool:
        """Put another policy (JSON) in force, or with "" that of the code. Returns False for an unknown limit."""
        return await self._run("override", name=name, policy=policy, duration_us=duration_us, reason=reason) is not None

    async def pause(self, name: str, *, on: bool, reason: str) -> bool:
        """Let no more jobs start under a limit, or let them start again. Returns False for an unknown limit."""
        return await self._run("pause", name=name, on=int(on), reason=reason) is not None

    async def reset(self, bucket: str, reason: str) -> bool:
        """Forgive what was spent of a bucket, or of all of a limit with a key. Returns False for an unknown limit."""
        return await self._run("reset", bucket=bucket, reason=reason) is not None

    async def freeze(self, bucket: str, duration_us: int, reason: str) -> int | None:
        """Freeze a bucket, or with 0 release it. Returns the µs for which it is frozen now, None for an unknown limit."""
        answer = await self._run("freeze", bucket=bucket, duration_us=duration_us, reason=reason)
        return None if answer is None else int(answer)
