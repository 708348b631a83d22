import asyncio

from bullmq import Job, Queue, Worker


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._options = {"connection": url}
        self._work = {"concurrency": concurrency}
        if rate:
            self._work["limiter"] = {"max": rate["starts"], "duration": 1000}

        async def job(job, token):
            return note(job.data["number"])

        self._job = job

    async def connect(self):
        self._queue = Queue("bench", self._options)

    async def submit(self, number):
        return await self._queue.add("job", {"number": number})

    async def submit_many(self, numbers):
        return await self._queue.addBulk([{"name": "job", "data": {"number": number}} for number in numbers])

    async def result(self, handle):
        while (value := (await Job.fromId(self._queue, handle.id)).returnvalue) is None:
            await asyncio.sleep(0.05)
        return value

    async def work(self):
        worker = Worker("bench", self._job, self._options | self._work | {"autorun": False})
        await worker.run()
