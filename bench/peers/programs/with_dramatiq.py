import threading

import dramatiq
from dramatiq import Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._broker = RedisBroker(url=url)
        self._broker.add_middleware(Results(backend=RedisBackend(url=url)))
        dramatiq.set_broker(self._broker)
        self._concurrency = concurrency

        def job(number):
            return note(number)

        self._job = dramatiq.actor(job, actor_name="job", store_results=True)

    def connect(self):
        """It connects by itself."""

    def submit(self, number):
        return self._job.send(number)

    def result(self, handle):
        return handle.get_result(block=True)

    def work(self):
        Worker(self._broker, worker_threads=self._concurrency).start()
        threading.Event().wait()
