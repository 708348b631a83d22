"""Background jobs for Python that never break a rate limit."""

from runner.backoff import Backoff
from runner.catalog import JobOptions, TaskSpec
from runner.client import Client, JobHandle, JobRequest
from runner.errors import (
    AlreadyFinished,
    ConfigurationError,
    ExceedsCapacity,
    InvalidArguments,
    InvalidJobId,
    InvalidOption,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobIdConflict,
    JobNotSuccessful,
    RunnerError,
    StoreUnavailable,
    SubmissionRefused,
    UnknownJob,
    UnknownTask,
)
from runner.job import JobStatus, State, Submission
from runner.limits import BucketStatus, LimitStatus, TokenBucket
from runner.registry import Runner, Task
from runner.settings import Settings, load_settings
from runner.worker import Worker

__all__ = [
    "AlreadyFinished",
    "Backoff",
    "BucketStatus",
    "Client",
    "ConfigurationError",
    "ExceedsCapacity",
    "InvalidArguments",
    "InvalidJobId",
    "InvalidOption",
    "JobCancelled",
    "JobExpired",
    "JobFailed",
    "JobHandle",
    "JobIdConflict",
    "JobNotSuccessful",
    "JobOptions",
    "JobRequest",
    "JobStatus",
    "LimitStatus",
    "Runner",
    "RunnerError",
    "Settings",
    "State",
    "StoreUnavailable",
    "Submission",
    "SubmissionRefused",
    "Task",
    "TaskSpec",
    "TokenBucket",
    "UnknownJob",
    "UnknownTask",
    "Worker",
    "load_settings",
]
