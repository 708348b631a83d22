"""The running system: one file is one actor of a worker process."""

from runner.worker.worker import Worker, WorkerState

__all__ = ["Worker", "WorkerState"]
