from redis import Redis
from rq import Queue, SimpleWorker

_NOTE = []


def job(number):
    return _NOTE[0](number)


class Peer:
    def __init__(self, url, concurrency, rate, note):
        _NOTE.append(note)
        self._redis = Redis.from_url(url)
        self._queue = Queue("bench", connection=self._redis)

    def connect(self):
        self._redis.ping()

    def submit(self, number):
        return self._queue.enqueue(job, number)

    def submit_many(self, numbers):
        return self._queue.enqueue_many([Queue.prepare_data(job, (number,)) for number in numbers])

    def result(self, handle):
        return handle.return_value(refresh=True)

    def work(self):
        SimpleWorker([self._queue], connection=self._redis, log_job_description=False).work(logging_level="ERROR")
