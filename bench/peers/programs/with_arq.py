from arq.connections import RedisSettings, create_pool
from arq.worker import Worker, func


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._url, self._concurrency = RedisSettings.from_dsn(url), concurrency

        async def job(ctx, number):
            return note(number)

        self._job = job

    async def connect(self):
        self._pool = await create_pool(self._url)

    async def submit(self, number):
        return await self._pool.enqueue_job("job", number)

    async def result(self, handle):
        return await handle.result(poll_delay=0.05)

    async def work(self):
        worker = Worker(
            [func(self._job, name="job")],
            redis_pool=self._pool,
            max_jobs=self._concurrency,
            poll_delay=0.01,
            queue_read_limit=1000,
            handle_signals=False,
            log_results=False,
        )
        await worker.async_run()
