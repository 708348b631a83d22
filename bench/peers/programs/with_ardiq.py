from ardiq import Ardiq


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._app = Ardiq(url, concurrency=concurrency)

        async def job(number: int) -> int:
            return note(number)

        self._job = self._app.task(name="job")(job)

    async def connect(self):
        """It connects by itself."""

    async def submit(self, number):
        return await self._job.enqueue(number)

    async def submit_many(self, numbers):
        return await self._app.enqueue_many([self._job.prepare(number) for number in numbers])

    async def result(self, handle):
        return (await handle.result(timeout=10)).value

    async def work(self):
        await self._app.run()
