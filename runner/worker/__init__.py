"""The running system: one file is one actor of a worker process.

A `Worker` enlists and runs its `Actors` under a lease: the claimer is granted jobs, attempts run them by the executor, the completer
delivers their outcomes, the heartbeat renews the lease, and the refill loop leads if it is elected.
"""

from runner.client import workers
from runner.worker.main import run_to_end
from runner.worker.worker import Worker, WorkerState

__all__ = ["Worker", "WorkerState", "run_to_end"]

workers.make = Worker
