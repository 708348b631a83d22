"""Background jobs for Python that never break a rate limit.

The names that most programs need. All errors are in `runner.errors`, the middleware in `runner.asgi`, the HTTP API in `runner.http`.
"""

from runner.client import Client, Control, JobHandle, JobRequest, Runner, Task, load_queue
from runner.errors import (
    ConfigurationError,
    JobFailed,
    RateLimited,
    RunnerError,
    StoreUnavailable,
    SubmissionRefused,
    TakeRefused,
    UnknownJob,
)
from runner.jobs import (
    Acceptance,
    Backoff,
    JobContext,
    JobError,
    JobOptions,
    JobStatus,
    State,
    Submission,
    TaskOptions,
    TaskSpec,
    current_job,
)
from runner.limits import (
    BucketStatus,
    Concurrency,
    Limit,
    LimitStatus,
    Override,
    Pause,
    Quota,
    SlidingWindow,
    TokenBucket,
    raise_rate_limited,
)
from runner.settings import Settings, load_settings
from runner.store import Finding, Level, WorkerStatus
from runner.worker import Worker, WorkerState

__all__ = [
    "Acceptance",
    "Backoff",
    "BucketStatus",
    "Client",
    "Concurrency",
    "ConfigurationError",
    "Control",
    "Finding",
    "JobContext",
    "JobError",
    "JobFailed",
    "JobHandle",
    "JobOptions",
    "JobRequest",
    "JobStatus",
    "Level",
    "Limit",
    "LimitStatus",
    "Override",
    "Pause",
    "Quota",
    "RateLimited",
    "Runner",
    "RunnerError",
    "Settings",
    "SlidingWindow",
    "State",
    "StoreUnavailable",
    "Submission",
    "SubmissionRefused",
    "TakeRefused",
    "Task",
    "TaskOptions",
    "TaskSpec",
    "TokenBucket",
    "UnknownJob",
    "Worker",
    "WorkerState",
    "WorkerStatus",
    "current_job",
    "load_queue",
    "load_settings",
    "raise_rate_limited",
]
