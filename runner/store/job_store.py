"""JobStore: one method per script. Takes and returns values; nothing outside this ring sees a key, a reply or a Redis exception."""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, cast

from runner.clock import microseconds, milliseconds
from runner.connection import command, translated_errors
from runner.jobs import JobStatus, Outcome, Priority, StartedJob
from runner.store import replies, scripts
from runner.store.keys import GROUP
from runner.store.limits import LimitStore
from runner.store.queue import in_runs
from runner.store.submissions import MOST_PER_CALL, SubmissionStore

_DO_NOT_LOOK, _LOOK, _LOOK_IF_IDLE = 0, 1, 2
"""Whether a claim looks at the wakes: not, in any case, or if the read before it brought nothing."""


class JobStore(SubmissionStore, LimitStore):
    """The state of one queue. Every method is one atomic transition, safe to repeat; `StoreUnavailable` means try again later.

    `now_us` stands in for Redis's clock in tests; 0 is the real one.
    """

    # Producers

    async def get(self, ids: Sequence[str], *, watch: bool = False) -> list[JobStatus | None]:
        """Each job as it is now, None if unknown. With `watch` its end will be announced to `finished_jobs`."""
        answers = await self._run("get", list(ids), watch=int(watch))
        return [None if answer is None else replies.job_status(job_id, answer) for job_id, answer in zip(ids, answers, strict=True)]

    async def cancel(self, job_id: str) -> str:
        """'unknown', 'cancelled', 'stopping', or the final state the job already has."""
        answer = await self._run("cancel", id=job_id, ttl_ms=self.settings.result_ttl_ms)
        return cast("bytes", answer).decode()

    async def retry(self, job_id: str) -> str:
        """Run an ended job again: 'unknown', its new state, or the state that forbids it."""
        answer: bytes = await self._run("retry", id=job_id)
        return answer.decode()

    async def workers(self) -> list[dict[str, Any]]:
        """The workers that hold a lease, as they described themselves; `stuck` slots are taken by what should have stopped."""
        with translated_errors():
            ids = [name.decode() for name in await command(self.redis, "ZRANGE", self.keys.workers, 0, -1)]
            leader = await command(self.redis, "GET", self.keys.leader)
            rows = [await command(self.redis, "HMGET", self.keys.worker(worker), "details", "stuck") for worker in ids]
        leading = leader.decode().rpartition(":")[0] if leader else None
        return [
            {"id": worker, "leader": worker == leading, "stuck": int(stuck or 0), **json.loads(text)}
            for worker, (text, stuck) in zip(ids, rows, strict=True)
            if text
        ]

    async def finished_jobs(self) -> AsyncGenerator[str | None, None]:
        """Ids of watched jobs as they end. None comes first, and whenever announcements may have been missed: look again then."""
        with translated_errors():
            async with self._patient.pubsub() as channel:
                await channel.subscribe(self.keys.finished)
                epoch = self.locator.epoch
                pinged = False
                while True:
                    message = await channel.get_message(timeout=self.settings.block_s)
                    if epoch != self.locator.epoch and message is None:
                        return  # the queue may be on another server now
                    if message is None and pinged:
                        # Whoever is gone without a word would never be missed: nothing else is sent on this connection.
                        raise TimeoutError("no answer on the connection that listens")
                    pinged = message is None
                    if message is None:
                        await channel.ping()
                    elif message["type"] == "subscribe":
                        yield None
                    elif message["type"] == "message":
                        yield message["data"].decode()

    async def starts(self) -> list[replies.RecordedStart]:
        """Every start there was, in order; only workers with the setting `record_starts` log them."""
        with translated_errors():
            return replies.recorded_starts(await command(self.redis, "XRANGE", self.keys.starts, "-", "+"))

    # Workers

    async def enlist(self, worker: str, details: str) -> None:
        """Make a worker known: it holds a lease from now on. `details` is JSON for people."""
        await self._run("heartbeat", worker=worker, lease_us=microseconds(self.settings.lease_s), enlist=1, details=details, stuck=0)

    async def read(self, worker: str, count: int, block_s: float) -> list[replies.HeldEntry]:
        """Wait up to `block_s` for ready jobs. What comes is held by this worker, not started; the next `claim` starts it."""
        with translated_errors():
            return replies.held_entries(await command(self._patient, *self._blocking_read(worker, count, block_s)), self._priority_of)

    async def claim(
        self,
        worker: str,
        free: int,
        held: Sequence[replies.HeldEntry],
        *,
        read_more: bool,
        look: bool = True,
        owed: tuple[int, int] = (0, 0),
        alone: bool = True,
    ) -> replies.Claimed:
        """Start up to `free` jobs with their tokens taken: the held ones, then what normal and low are `owed`, then in order.

        `alone` says that the worker runs nothing: only then is a job started that has lost all but the last of `max_crashes` workers.
        Raises `LeaseLost`.
        """
        rest: list[scripts.Argument] = [part for entry in held for part in entry]
        look_at = _LOOK if look else _DO_NOT_LOOK
        arguments = self._claim_arguments(worker, free, owed, read_more=read_more, look=look_at, seen="", alone=alone)
        return replies.claimed(worker, await self._run("claim", rest, force=False, **arguments))

    async def wait_and_claim(
        self,
        worker: str,
        free: int,
        seen: Sequence[bytes],
        *,
        block_s: float,
        look: bool = True,
        owed: tuple[int, int] = (0, 0),
    ) -> tuple[list[replies.HeldEntry], replies.Claimed]:
        """Wait up to `block_s` for ready jobs, and start them as `claim` does, in one way there and back; with them, what was read.

        `seen` are the latest entries of each stream that this worker has seen. The wakes are looked at if nothing came, or with `look`.
        A suspect is not started: what else the worker will run by then is not known when this is sent.
        """
        # COUNT counts for each stream, so a third of the free slots is asked of each.
        read = self._blocking_read(worker, max(free // len(Priority), 1), block_s)
        last = b" ".join(seen)
        look_at = _LOOK if look else _LOOK_IF_IDLE
        arguments = self._claim_arguments(worker, free, owed, read_more=False, look=look_at, seen=last, alone=False)
        brought, answer = await self._run_behind(read, "claim", **arguments)
        held = replies.held_entries(brought, self._priority_of)
        if answer is None:
            look, more = look or not held, len(held) > 1
            return held, await self.claim(worker, free, held, read_more=more, look=look, owed=owed, alone=False)
        return held, replies.claimed(worker, answer)

    def _blocking_read(self, worker: str, count: int, block_s: float) -> list[scripts.Argument]:
        read: list[scripts.Argument] = ["XREADGROUP", "GROUP", GROUP, worker, "COUNT", count, "BLOCK", milliseconds(block_s)]
        return [*read, "STREAMS", *self._streams, ">", ">", ">"]

    def _claim_arguments(
        self, worker: str, free: int, owed: tuple[int, int], *, read_more: bool, look: int, seen: bytes | str, alone: bool
    ) -> dict[str, scripts.Argument]:
        return {
            "worker": worker,
            "free": free,
            "read_more": int(read_more),
            "look": look,
            "seen": seen,
            "normal_owed": owed[0],
            "low_owed": owed[1],
            "alone": int(alone),
            "max_crashes": self.settings.max_crashes,
            "record_starts": int(self.settings.record_starts),
        }

    async def finish(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """Record what attempts came to: for each 'accepted', 'repeated' or 'stale'. At most 500."""
        words = in_runs(
            ((job.priority, ending, delay_us, ttl_ms, settled, freeze), (job.entry, job.id, job.attempt, payload))
            for job, ending, payload, delay_us, ttl_ms, settled, freeze in outcomes
        )
        return [answer.decode() for answer in await self._run("finish", words, worker=worker)]

    async def reconcile(self, worker: str, in_hand: Iterable[StartedJob], *, leave: bool = False) -> int:
        """Give back all that Redis thinks this worker holds except what it has in hand; how many that were. `leave` signs off."""
        rest: list[scripts.Argument] = [part for job in in_hand for part in (job.priority, job.entry)]
        return int(await self._run("reconcile", rest, worker=worker, leave=int(leave), result_ttl_ms=self.settings.result_ttl_ms))

    # The leader

    async def lead(self, worker: str, term: int) -> tuple[int, str, int]:
        """Become or stay leader: (the term led, 0 if another worker leads; the worker that leads; how many workers hold a lease)."""
        led, leader, workers = await self._run("lead", worker=worker, term=term, ttl_ms=milliseconds(self.settings.lease_s))
        return led, leader.decode(), workers

    async def resign(self, worker: str, term: int) -> None:
        """Let another worker lead at once."""
        await self._run("lead", worker=worker, term=term, ttl_ms=0)

    async def wait_for_nudge(self, timeout_s: float) -> bool:
        """Wait until somebody sets an earlier wake; False after `timeout_s`."""
        with translated_errors():
            return await command(self._patient, "BLPOP", self.keys.nudge, f"{timeout_s:.6f}") is not None

    async def refill(self, *, check_clock: bool = True) -> tuple[int, int]:
        """Release the waiting jobs whose tokens have landed: (released, µs until the next wake, -1 if nobody waits).

        `check_clock` looks whether Redis's clock went back.
        """
        released = await self._release(check_clock=check_clock, watch=False)
        return released.jobs, released.next_wake_us

    async def refill_and_watch(self) -> replies.Released:
        """The same, and how late it came: what shows whether a leader is at work."""
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
        entries, workers, poisoned = await self._run(
            "reclaim",
            budget=MOST_PER_CALL,
            max_crashes=self.settings.max_crashes,
            result_ttl_ms=self.settings.result_ttl_ms,
        )
        return entries, workers, poisoned

    async def trim(self) -> int:
        """Forget dead letters older than their time to live; how many."""
        return int(await self._run("trim"))
