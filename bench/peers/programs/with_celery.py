from celery import Celery


class Peer:
    def __init__(self, url, concurrency, rate, note):
        self._app = Celery("bench", broker=url, backend=url)
        self._app.conf.update(
            worker_prefetch_multiplier=64,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
            task_serializer="json",
        )
        self._concurrency = concurrency

        def job(number):
            return note(number)

        self._job = self._app.task(name="job")(job)

    def connect(self):
        """It connects by itself."""

    def submit(self, number):
        return self._job.delay(number)

    def result(self, handle):
        return handle.get(timeout=10)

    def work(self):
        worker = self._app.Worker(
            pool="threads",
            concurrency=self._concurrency,
            loglevel="ERROR",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            send_events=False,
        )
        worker.start()
