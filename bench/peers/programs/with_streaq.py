from contextlib import AsyncExitStack

from streaq import Worker


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._worker = Worker(redis_url=url, concurrency=concurrency, handle_signals=False)

        async def job(number: int) -> int:
            return note(number)

        self._job = self._worker.task(name="job", silent=True)(job)
        self._stack = AsyncExitStack()

    async def connect(self):
        """Entered by the first submission, as `work` enters it by itself."""

    async def _enter(self):
        if not hasattr(self, "_entered"):
            self._entered = await self._stack.enter_async_context(self._worker)

    async def submit(self, number):
        await self._enter()
        return await self._job.enqueue(number)

    async def submit_many(self, numbers):
        await self._enter()
        tasks = [self._job.enqueue(number) for number in numbers]
        await self._worker.enqueue_many(tasks)
        return tasks

    async def result(self, handle):
        return (await handle.result()).result

    async def work(self):
        await self._worker.run_async()
