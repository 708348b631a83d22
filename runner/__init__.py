"""Background jobs for Python that never break a rate limit."""

from runner.asgi import RateLimitMiddleware
from runner.backoff import Backoff
from runner.catalog import JobOptions, TaskSpec
from runner.client import Client, JobHandle, JobRequest
from runner.context import JobContext, current_job
from runner.control import Control
from runner.errors import (
    AccessRefused,
    AlreadyFinished,
    BacklogFull,
    CannotRetry,
    ConfigurationError,
    ExceedsCapacity,
    IncompatibleVersion,
    InvalidArguments,
    InvalidJobId,
    InvalidOption,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobIdConflict,
    JobNotSuccessful,
    NotPermitted,
    RateLimited,
    RunnerError,
    StartOutOfRange,
    StoreFull,
    StoreUnavailable,
    SubmissionRefused,
    TakeRefused,
    UnknownJob,
    UnknownLimit,
    UnknownTask,
)
from runner.explain import explain
from runner.http_limits import raise_rate_limited
from runner.job import JobStatus, State, Submission
from runner.limits import BucketStatus, Concurrency, Limit, LimitStatus, Quota, SlidingWindow, TokenBucket
from runner.metering import KeyFunction, Rule, by_api_key, by_client_address, by_header, by_user
from runner.registry import Runner, Task
from runner.settings import Settings, load_settings
from runner.worker import Worker

__all__ = [
    "AccessRefused",
    "AlreadyFinished",
    "BacklogFull",
    "Backoff",
    "BucketStatus",
    "CannotRetry",
    "Client",
    "Concurrency",
    "ConfigurationError",
    "Control",
    "ExceedsCapacity",
    "IncompatibleVersion",
    "InvalidArguments",
    "InvalidJobId",
    "InvalidOption",
    "JobCancelled",
    "JobContext",
    "JobExpired",
    "JobFailed",
    "JobHandle",
    "JobIdConflict",
    "JobNotSuccessful",
    "JobOptions",
    "JobRequest",
    "JobStatus",
    "KeyFunction",
    "Limit",
    "LimitStatus",
    "NotPermitted",
    "Quota",
    "RateLimitMiddleware",
    "RateLimited",
    "Rule",
    "Runner",
    "RunnerError",
    "Settings",
    "SlidingWindow",
    "StartOutOfRange",
    "State",
    "StoreFull",
    "StoreUnavailable",
    "Submission",
    "SubmissionRefused",
    "TakeRefused",
    "Task",
    "TaskSpec",
    "TokenBucket",
    "UnknownJob",
    "UnknownLimit",
    "UnknownTask",
    "Worker",
    "by_api_key",
    "by_client_address",
    "by_header",
    "by_user",
    "current_job",
    "explain",
    "load_settings",
    "raise_rate_limited",
]
