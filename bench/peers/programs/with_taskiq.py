from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._concurrency = concurrency
        results = RedisAsyncResultBackend(url, result_ex_time=3600, serializer=ORJSONSerializer())
        self._broker = RedisStreamBroker(url, consumer_id="0").with_result_backend(results).with_serializer(ORJSONSerializer())

        async def job(number: int) -> int:
            return note(number)

        self._job = self._broker.register_task(job, task_name="job")

    async def connect(self):
        await self._broker.startup()

    async def submit(self, number):
        return await self._job.kiq(number)

    async def result(self, handle):
        return (await handle.wait_result(check_interval=0.05)).return_value

    async def work(self):
        await run_receiver_task(self._broker, max_async_tasks=self._concurrency, max_prefetch=self._concurrency)
