"""Jobs: what a producer or an operator asks about jobs, or does to one. One method per script."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from runner.access import named_actor
from runner.clock import microseconds
from runner.connection import command, translated_errors
from runner.jobs import JobEvent, JobStatus, OtherJob, State
from runner.outlook import MOST_BUCKETS, BucketView, Estimate, Wait, estimates, unknown_buckets
from runner.store import replies, statuses, surroundings
from runner.store.answers import CancelAnswer, DeleteAnswer, RetryRefusal
from runner.store.pool_status import PoolStatus, pool_statuses
from runner.store.portions import MOST_HEAVY, MOST_PER_CALL, MOST_SMALL, MOST_STATUSES, MOST_VIEWED, MOST_WATCHED, fitting, portions
from runner.store.run_times import RunTimes
from runner.store.statuses import Depth, Heavy, StoredResult
from runner.store.text import decoded
from runner.store.worker_status import WORKER_FIELDS, WorkerStatus

_NO_BOUND = 2**53
_NO_JOB = "WRONGTYPE"
"""Redis's word for a key of another type, which is no job's."""
_MOST_WORKERS = 5 * MOST_PER_CALL
"""Workers that one call tells of."""
_MOST_MEASURED = 10
"""Buckets of which the lengths of many lines are read."""


class Jobs(RunTimes):
    """The role of a producer once its jobs are in, and of an operator."""

    async def get(self, ids: Sequence[str], depth: Depth = Depth.full) -> list[JobStatus | None]:
        """Each job as it is now, None if unknown. Those that are large come by themselves, after the others."""
        found: dict[str, JobStatus | None] = {}
        heavy: dict[str, int] = {}
        for part in portions(dict.fromkeys(ids)):
            for job_id, status in zip(part, await self.get_light(part, depth), strict=True):
                if isinstance(status, Heavy):
                    heavy[job_id] = status.bytes
                else:
                    found[job_id] = status
        while heavy:
            part = list(heavy)[: fitting(heavy.values(), most_bytes=MOST_HEAVY)]
            for job_id, status in zip(part, await self._get(part, depth, MOST_HEAVY if len(part) > 1 else _NO_BOUND), strict=True):
                del heavy[job_id]
                if isinstance(status, Heavy):
                    heavy[job_id] = status.bytes  # it has grown since
                else:
                    found[job_id] = status
        return [found[job_id] for job_id in ids]

    async def get_light(self, ids: Sequence[str], depth: Depth = Depth.full) -> list[JobStatus | Heavy | None]:
        """Each job as it is now, as long as all together are small; in the place of others their size."""
        return await self._get(ids, depth, MOST_SMALL)

    async def get_heavy(self, job_id: str, most_result: int | None = None) -> JobStatus | None:
        """One job, however large, over a connection for such; without its result, if that has more bytes than `most_result`."""
        (status,) = await self._get([job_id], Depth.full, _NO_BOUND, most_result)
        assert not isinstance(status, Heavy), "without a bound nothing is too large"
        return status

    async def stored_result(self, job_id: str) -> StoredResult | State | None:
        """The result of a job as it is stored, however large; the state of a job that has none, None if it is unknown.

        Without a script, which would copy it three times more while Redis does nothing else.
        """
        with translated_errors():
            try:
                state, ended, data = await self.redis.execute_command(
                    "HMGET", self.keys.job(job_id), "state", "finished", "result", is_large=True
                )
            except ResponseError as error:
                if not str(error).startswith(_NO_JOB):
                    raise
                return None
        if state is None:
            return None
        known = statuses.state(state)
        return known if data is None or known is not State.succeeded else StoredResult(ended or b"", data)

    async def watch(self, ids: Sequence[str]) -> list[JobStatus | Heavy | None]:
        """As `get_light`. The end of each will be announced to `finished_jobs`, and of a job that goes on only the state is told."""
        answers = [answer for part in portions(ids, MOST_WATCHED) for answer in await self._ask(part, Depth.full, MOST_SMALL, watch=True)]
        return [_told(job_id, answer) for job_id, answer in zip(ids, answers, strict=True)]

    async def _ask(
        self, ids: Sequence[str], depth: Depth, most_bytes: int, most_result: int = _NO_BOUND, *, watch: bool = False
    ) -> list[Any]:
        is_large = most_bytes > MOST_SMALL
        answers: list[Any] = await self._run(
            "get", ids, depth=depth.value, watch=int(watch), most_bytes=most_bytes, most_result=most_result, is_large=is_large
        )
        return answers

    async def _get(
        self, ids: Sequence[str], depth: Depth, most_bytes: int, most_result: int | None = None
    ) -> list[JobStatus | Heavy | None]:
        most = _NO_BOUND if most_result is None else most_result
        answers = [answer for part in portions(ids, MOST_STATUSES) for answer in await self._ask(part, depth, most_bytes, most)]
        waits = statuses.waits(answers)
        views = await self._surroundings(waits.values()) if waits else {}
        told = estimates(list(waits.values()), views, self.settings.least_share)
        found = dict(zip(waits, told, strict=True))
        timed = [at for at, answer in enumerate(answers) if statuses.is_timed(answer)]
        tasks = {at: statuses.task_of(answers[at]) for at in [*(at for at, one in found.items() if one.eta_us is not None), *timed]}
        runs_us = await self.run_times_us(tasks.values()) if tasks else {}
        return [
            _told(job_id, answer, found.get(at), runs_us.get(tasks.get(at, "")))
            for at, (job_id, answer) in enumerate(zip(ids, answers, strict=True))
        ]

    async def _surroundings(self, waits: Iterable[Wait], *, near: bool = True) -> dict[str, BucketView]:
        """The buckets that these jobs need, and the lines there, in as many calls as it takes to keep each of them short.

        near: also the buckets that lines there need, and of very many lines the lengths.
        """
        asked = surroundings.questions(waits)
        views: dict[str, BucketView] = {}
        while asked:
            read = surroundings.views(await self._outlook(asked), views)
            asked = asked[max(read, 1) :]
            further = unknown_buckets(views) if near and not asked else []
            if len(views) + len(further) <= MOST_BUCKETS:
                asked += surroundings.bare_questions(further)
        asked = surroundings.length_questions(list(views.values())[:_MOST_MEASURED]) if near else []
        while asked:
            read = surroundings.add_lengths(await self._outlook(asked), views)
            asked = asked[max(read, 1) :]
        return views

    async def _outlook(self, asked: Sequence[surroundings.Question]) -> list[Any]:
        """Answers to the first of these questions: as many as one call reads."""
        answers: list[Any] = await self._run("outlook", [word for question in asked for word in question], most_read=MOST_VIEWED)
        return answers

    async def cancel(self, job_id: str) -> CancelAnswer:
        """Stop a job. Cancelling again gives the same answer."""
        answer: bytes = await self._run("cancel", id=job_id, ttl_ms=self.settings.result_ttl_ms, actor=_operator())
        return CancelAnswer(decoded(answer))

    async def retry(self, job_id: str, *, ignore_parents: bool = False) -> State | OtherJob | RetryRefusal | None:
        """Run an ended job again: its new state, or the state, the other job with its mark or the parents that forbid it; None for an unknown job."""
        answer: bytes = await self._run("retry", id=job_id, ignore_parents=int(ignore_parents), actor=_operator())
        if answer == b"parents":
            return RetryRefusal.parents
        return replies.other_job(answer) if b" " in answer else statuses.state(answer)

    async def delete(self, job_id: str, reason: str = "") -> DeleteAnswer:
        """Forget a job that has ended; one that has not stays."""
        return DeleteAnswer(decoded(await self._run("delete", id=job_id, reason=reason)))

    async def remaining(self, horizon_s: float, since_us: int = 0) -> replies.Remaining:
        """What is left to do, now and within the horizon, and how many jobs have failed for good since then."""
        answer = await self._run("remaining", horizon_us=microseconds(horizon_s), since_us=since_us)
        return replies.Remaining(*map(int, answer))

    async def workers(self) -> list[WorkerStatus]:
        """The workers that hold a lease."""
        found: dict[str, WorkerStatus] = {}
        passed, is_last = 0, False
        while not is_last:
            leader, *fields = await self._run("workers", passed=passed, most=_MOST_WORKERS, is_large=True)
            leading = decoded(leader).rpartition(":")[0]
            rows = [fields[at : at + WORKER_FIELDS] for at in range(0, len(fields), WORKER_FIELDS)]
            found |= {decoded(row[0]): WorkerStatus.of(leading, *row) for row in rows if row[1]}
            passed, is_last = passed + len(rows), len(rows) < _MOST_WORKERS
        return list(found.values())

    async def pools(self) -> list[PoolStatus]:
        """The pools of the queue, the default one first."""
        return pool_statuses(await self._run("pools", most_lines=MOST_PER_CALL))

    async def all_keys(self) -> list[bytes]:
        """Every key of the queue, in no order: for tests, as it goes through all keys of the server."""
        return [key async for key in self._scanned("*")]

    async def job_ids(self) -> list[str]:
        """The ids of all jobs and tickets, in no order: for tests."""
        prefix = self.keys.job("").encode()
        return [decoded(key.removeprefix(prefix)) async for key in self._scanned("job:*")]

    async def _scanned(self, pattern: str) -> AsyncGenerator[bytes, None]:
        cursor, seen = b"0", set[bytes]()
        while True:
            with translated_errors():
                cursor, keys = await command(self.redis, "SCAN", cursor, "MATCH", f"{self.keys.prefix}{pattern}", "COUNT", 1_000)
            for key in keys:
                if key not in seen:
                    seen.add(key)
                    yield key
            if cursor == b"0":
                return

    def finished_jobs(self) -> AsyncGenerator[str | None, None]:
        """Ids of watched jobs as they end. None comes first, and whenever announcements may have been missed: look again then."""
        return self._announcements(self.keys.finished)

    async def latest_event(self) -> str:
        """The id of the latest end in the history."""
        with translated_errors():
            return replies.latest_event(await command(self.redis, "XREVRANGE", self.keys.history, "+", "-", "COUNT", 1))

    async def event_place(self) -> str:
        """The place in the history of a millisecond ago."""
        return f"{await self._server_us() // 1000 - 1}-0"

    async def events(self, after: str, most: int) -> list[JobEvent]:
        """The ends in the history after this place, `most` at most, in order."""
        with translated_errors():
            # From that place on. If there is nothing at it, and nothing before it, what followed it may have gone too.
            rows = await command(self.redis, "XRANGE", self.keys.history, after, "+", "COUNT", most + 1)
            missed = replies.begins_late(rows, after) and not await command(
                self.redis, "XREVRANGE", self.keys.history, after, "-", "COUNT", 1
            )
            return replies.events(rows, after, missed=missed)

    async def starts(self) -> list[replies.RecordedStart]:
        """Every recorded start, in order; only workers with the setting `record_starts` log them."""
        with translated_errors():
            return replies.recorded_starts(await command(self.redis, "XRANGE", self.keys.starts, "-", "+"))


def _operator() -> str:
    """Who has asked for a change of a job; empty for a program that changes its own."""
    actor = named_actor()
    return "" if actor is None else actor.to_json()


def _told(job_id: str, answer: Any, outlook: Estimate | None = None, runs_us: int | None = None) -> JobStatus | Heavy | None:
    """One answer of get.lua."""
    if answer is None:
        return None
    return Heavy(answer) if isinstance(answer, int) else statuses.job_status(job_id, answer, outlook, runs_us)
