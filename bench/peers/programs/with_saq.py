from saq import Queue, Worker


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._queue = Queue.from_url(url, name="bench")
        self._concurrency = concurrency

        async def job(ctx, *, number):
            return note(number)

        self._job = job

    async def connect(self):
        await self._queue.connect()

    async def submit(self, number):
        return await self._queue.enqueue("job", number=number)

    async def result(self, handle):
        await handle.refresh(until_complete=0)
        return handle.result

    async def work(self):
        worker = Worker(self._queue, functions=[("job", self._job)], concurrency=self._concurrency)
        await worker.start()
