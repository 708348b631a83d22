"""Jobs: what a producer or an operator asks about jobs, or does to one. One method per script."""

from collections.abc import AsyncGenerator, Sequence

from runner.connection import command, translated_errors
from runner.jobs import JobStatus, State
from runner.store import replies, statuses
from runner.store.answers import CancelAnswer
from runner.store.queue import QueueStore
from runner.store.worker_status import WorkerStatus


class Jobs(QueueStore):
    """The role of a producer once its jobs are in, and of an operator."""

    async def get(self, ids: Sequence[str], *, watch: bool = False) -> list[JobStatus | None]:
        """Each job as it is now, None if unknown. With `watch` its end will be announced to `finished_jobs`."""
        answers = await self._run("get", list(ids), watch=int(watch))
        return [None if answer is None else statuses.job_status(job_id, answer) for job_id, answer in zip(ids, answers, strict=True)]

    async def cancel(self, job_id: str) -> CancelAnswer:
        """Stop a job. Cancelling again gives the same answer."""
        answer: bytes = await self._run("cancel", id=job_id, ttl_ms=self.settings.result_ttl_ms)
        return CancelAnswer(answer.decode())

    async def retry(self, job_id: str) -> State | None:
        """Run an ended job again: its new state, or the state that forbids it; None for an unknown job."""
        return statuses.state(await self._run("retry", id=job_id))

    async def workers(self) -> list[WorkerStatus]:
        """The workers that hold a lease."""
        with translated_errors():
            ids = [name.decode() for name in await command(self.redis, "ZRANGE", self.keys.workers, 0, -1)]
            leader = await command(self.redis, "GET", self.keys.leader)
            rows = [await command(self.redis, "HMGET", self.keys.worker(worker), "details", "stuck") for worker in ids]
        leading = leader.decode().rpartition(":")[0] if leader else None
        return [WorkerStatus.of(worker, leading, int(stuck or 0), text) for worker, (text, stuck) in zip(ids, rows, strict=True) if text]

    async def finished_jobs(self) -> AsyncGenerator[str | None, None]:
        """Ids of watched jobs as they end. None comes first, and whenever announcements may have been missed: look again then."""
        with translated_errors():
            async with self._blocking.pubsub() as channel:
                await channel.subscribe(self.keys.finished)
                epoch = self.locator.epoch
                pinged = False
                while True:
                    message = await channel.get_message(timeout=self.settings.block_s)
                    if epoch != self.locator.epoch and message is None:
                        return  # the queue may be on another server now
                    if message is None and pinged:
                        # Only a ping shows that a server has gone without closing the connection: nothing else is sent on it.
                        raise TimeoutError("no answer on the connection that listens")
                    pinged = message is None
                    if message is None:
                        await channel.ping()
                    elif message["type"] == "subscribe":
                        yield None
                    elif message["type"] == "message":
                        yield message["data"].decode()

    async def starts(self) -> list[replies.RecordedStart]:
        """Every recorded start, in order; only workers with the setting `record_starts` log them."""
        with translated_errors():
            return replies.recorded_starts(await command(self.redis, "XRANGE", self.keys.starts, "-", "+"))
