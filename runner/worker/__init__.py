"""The running system: one file is one actor of a worker process.

A `Worker` enlists and runs its `Actors` under a lease: the claimer is granted jobs, attempts run them by the executor, the completer
delivers their outcomes, the heartbeat renews the lease, and the refill loop leads if it is elected.
"""

from runner.worker.active_jobs import ActiveJobs
from runner.worker.appearance import details_of, served_by
from runner.worker.attempts import Attempts
from runner.worker.completer import Completer
from runner.worker.duties import DutyTable
from runner.worker.executor import Executor
from runner.worker.hook_calls import HookCalls
from runner.worker.lifespan import Lifespan
from runner.worker.main import run_to_end
from runner.worker.parents import Parents
from runner.worker.priority_shares import PriorityShares
from runner.worker.ticker import Ticker, at_once
from runner.worker.worker import Worker
from runner.worker.worker_state import WorkerState, gauges_of, readiness_of

__all__ = [
    "ActiveJobs",
    "Attempts",
    "Completer",
    "DutyTable",
    "Executor",
    "HookCalls",
    "Lifespan",
    "Parents",
    "PriorityShares",
    "Ticker",
    "Worker",
    "WorkerState",
    "at_once",
    "details_of",
    "gauges_of",
    "readiness_of",
    "run_to_end",
    "served_by",
]
