from datetime import timedelta

from docket import Docket, RateLimit, Worker


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._docket = Docket(name="bench", url=f"{url}?max_connections={4 * concurrency}")
        self._concurrency = concurrency

        async def job(number: int) -> int:
            return note(number)

        async def metered(number: int, limit: RateLimit = RateLimit(rate["starts"], per=timedelta(seconds=1)) if rate else None) -> int:
            return note(number)

        self._job = metered if rate else job

    async def connect(self):
        await self._docket.__aenter__()
        self._docket.register(self._job)

    async def submit(self, number):
        return await self._docket.add(self._job)(number)

    async def submit_many(self, numbers):
        return await self._docket.add_many([self._docket.call(self._job)(number) for number in numbers])

    async def result(self, handle):
        return await handle.get_result()

    async def work(self):
        async with Worker(self._docket, concurrency=self._concurrency) as worker:
            await worker.run_forever()
