"""Submitter: requests that come while a submission is under way are sent together in the next one. Nothing waits for company."""

import asyncio

from runner import Client, JobHandle, StoreFull, StoreUnavailable, Submission

_MOST_JOBS = 500
_MOST_BYTES = 1024 * 1024
_Waiting = tuple[Submission, asyncio.Future[JobHandle[object]]]


class Submitter:
    """One call to Redis at a time, of as many jobs as are there: a quarter of the work a job when many submit at once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None

    async def submit(self, job: Submission) -> JobHandle[object]:
        """Send one prepared job. `first_state` of the handle may be 'conflict'. Raises `StoreUnavailable`, `StoreFull`, `BacklogFull`."""
        answer: asyncio.Future[JobHandle[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all(), name="submitter")
        return await answer

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._sending is not None:
            await self._sending

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send(self._next_group())
        finally:
            self._sending = None

    def _next_group(self) -> list[_Waiting]:
        count = size = 0
        for job, _ in self._waiting[:_MOST_JOBS]:
            size += len(job.args)
            if count and size > _MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _send(self, group: list[_Waiting]) -> None:
        try:
            handles = await self._client.send_apart([job for job, _ in group])
        except StoreUnavailable as error:
            # Those behind this group would wait for a time-out of their own, one group after the other.
            behind, self._waiting = self._waiting, []
            _fail(group + behind, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, every request of the group must learn of it
            _fail(group, error)
        else:
            for (job, answer), handle in zip(group, handles, strict=True):
                if isinstance(handle, StoreFull):
                    _fail([(job, answer)], handle)
                elif not answer.done():
                    answer.set_result(handle)


def _fail(group: list[_Waiting], error: Exception) -> None:
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)
