"""Batch: jobs that are followed together, and perhaps followed by one that runs once all of them have ended."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from runner.client.blocking import Blocking, through
from runner.client.handle import JobHandle
from runner.client.job_calls import JobCalls
from runner.clock import monotonic_s
from runner.errors import InvalidOption
from runner.foreign import shown
from runner.jobs import BatchProgress, OnFailure, Submission, check_job_id, checked_policy, new_job_id
from runner.ranges import checked, checked_whole

R = TypeVar("R")

MOST_AT_ONCE = 500
"""Jobs that are sent together."""
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 1.0


def asked_batch(batch_id: str | None, size: int, on_failure: str) -> tuple[str, OnFailure, int]:
    """The id of a batch, yours or a random one, its policy, and how many jobs are coming, 0 if that is not known. Raises `InvalidOption`, `InvalidJobId`."""
    checked_id = new_job_id() if batch_id is None else check_job_id(batch_id)
    whole = checked_whole("size of a batch", size, error=InvalidOption) if size else 0
    return checked_id, checked_policy(on_failure, "a batch"), whole


class BatchHandle:
    """One batch, by its id."""

    def __init__(self, calls: JobCalls, batch_id: str) -> None:
        self._calls = calls
        self.id = batch_id

    async def progress(self) -> BatchProgress:
        """How many of its jobs are where, now. Raises `UnknownBatch`: never opened, or over for 7 days."""
        return await self._calls.batch_progress(self.id)

    async def wait(self, timeout: float | None = None) -> BatchProgress:
        """The batch once all its jobs have ended, or as it is after `timeout` seconds. Looks once a second at the most; see `progress`."""
        ends_s = float("inf") if timeout is None else monotonic_s() + checked("timeout of a wait", timeout, error=InvalidOption)
        if (clock := self._calls.clock) is not None:
            until_us, progress = clock.after(timeout), await self.progress()
            while not progress.has_ended and (until_us is None or clock.us < until_us):
                progress = await clock.look(self.progress, [self.id], until_us)
            return progress
        pause_s = _FIRST_LOOK_S
        while True:
            progress = await self.progress()
            left_s = ends_s - monotonic_s()
            if progress.has_ended or left_s <= 0:
                return progress
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    async def cancel(self) -> BatchProgress:
        """Cancel the job that follows it, if that waits still, and every job of it that has not ended; no further one can be added.

        Running ones end when their handlers do. It can be repeated. Raises `UnknownBatch`.
        """
        return await self._calls.cancel_batch(self.id)

    async def seal(self) -> BatchProgress:
        """Let no further job be added: it has ended once all its jobs have. It can be repeated. Raises `UnknownBatch`."""
        return await self._calls.seal_batch(self.id)

    @property
    def blocking(self) -> "BlockingBatchHandle":
        """The same for code without an event loop."""
        return BlockingBatchHandle(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"


class BlockingBatchHandle(Blocking):
    """A `BatchHandle` for code without an event loop."""

    __slots__ = ()
    _of: BatchHandle

    progress = through(BatchHandle.progress)
    wait = through(BatchHandle.wait)
    cancel = through(BatchHandle.cancel)
    seal = through(BatchHandle.seal)

    @property
    def id(self) -> str:
        """The batch's id."""
        return self._of.id

    def __repr__(self) -> str:
        return f"BlockingBatchHandle({self.id!r})"


class Filling(Protocol):
    """What a batch needs of the app that fills it."""

    async def open(self, batch_id: str, on_failure: str, size: int, then: Submission[Any] | None) -> None:
        """Begin it."""

    async def put(self, batch_id: str, jobs: Sequence[Submission[Any]]) -> None:
        """Store jobs of it."""

    async def seal(self, batch_id: str) -> None:
        """End the adding."""

    def handle(self, job: Submission[R]) -> JobHandle[R]:
        """The handle of a job that is to be stored."""


class Batch(BatchHandle):
    """A batch that is filled: `async with jobs.batch("import-17") as batch: batch.add(load.prepare(row))`. It is sealed at the end of the block.

    What is added is sent by 500 while the block goes on, and the rest at its end. A block that raises, or dies, leaves the batch open: what was
    sent goes on, a second block with the same id goes on too, and what follows the batch waits until it is sealed.
    """

    def __init__(
        self,
        calls: JobCalls,
        filling: Filling,
        batch_id: str,
        *,
        on_failure: str,
        size: int,
        then: Submission[Any] | None,
    ) -> None:
        super().__init__(calls, batch_id)
        self._filling = filling
        self._on_failure = on_failure
        self._size = size
        self._then = then
        self._added: list[Submission[Any]] = []
        self._sending: asyncio.Task[None] | None = None
        self._is_open = False

    async def __aenter__(self) -> Self:
        await self._filling.open(self.id, self._on_failure, self._size, self._then)
        self._is_open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_open = False
        if kind is not None:
            if self._sending is not None:
                self._sending.cancel()
                await asyncio.gather(self._sending, return_exceptions=True)
            return
        await self.flush()
        await self._filling.seal(self.id)

    @property
    def then(self) -> JobHandle[Any] | None:
        """The job that follows it; None without one."""
        return None if self._then is None else self._filling.handle(self._then)

    def add(self, job: Submission[R]) -> JobHandle[R]:
        """Add a job that `prepare` has made. It is sent later, see `flush`; until then nothing is known under its id. Raises `InvalidOption`.

        Raises what the sending of those before has raised.
        """
        if not isinstance(job, Submission):
            raise InvalidOption(f"a job of batch {self.id!r} is {shown(job, 80)}: give one made by prepare, like load.prepare(row)")
        if not self._is_open:
            raise InvalidOption(f"batch {self.id!r} is not open: add within `async with jobs.batch(...) as batch:`")
        if self._sending is not None and self._sending.done():
            self._sending.result()
            self._sending = None
        self._added.append(job)
        if len(self._added) >= MOST_AT_ONCE and self._sending is None:
            self._sending = asyncio.create_task(self._send(MOST_AT_ONCE), name=f"batch {self.id}")
        return self._filling.handle(job)

    async def flush(self) -> None:
        """Send all that was added. Await it now and then if you add faster than Redis takes. Raises what a submission raises."""
        if self._sending is not None:
            sending, self._sending = self._sending, None
            await sending
        await self._send(1)

    async def _send(self, least: int) -> None:
        while len(self._added) >= least:
            part, self._added = self._added[:MOST_AT_ONCE], self._added[MOST_AT_ONCE:]
            try:
                await self._filling.put(self.id, part)
            except BaseException:
                self._added = part + self._added
                raise
