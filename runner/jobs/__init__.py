"""What a job is, from the declaration of its task to the status its caller sees. Values and pure functions: no I/O, no asyncio."""

from runner.jobs.arguments import Arguments, NotJson, refuse_constants
from runner.jobs.backoff import Backoff
from runner.jobs.context import Attempt, JobContext, current_job, enter
from runner.jobs.explain import explain
from runner.jobs.job import (
    TICKET,
    Acceptance,
    Ending,
    JobError,
    JobStatus,
    Outcome,
    Priority,
    StartedJob,
    State,
    check_job_id,
    check_queue_name,
)
from runner.jobs.submission import JobOptions, Submission, prepare
from runner.jobs.summary import summary
from runner.jobs.task_definition import AttemptPolicy, TaskDefinition, TaskOptions
from runner.jobs.task_spec import TaskSpec
from runner.jobs.words import frozen, overridden, paused, span

__all__ = [
    "TICKET",
    "Acceptance",
    "Arguments",
    "Attempt",
    "AttemptPolicy",
    "Backoff",
    "Ending",
    "JobContext",
    "JobError",
    "JobOptions",
    "JobStatus",
    "NotJson",
    "Outcome",
    "Priority",
    "StartedJob",
    "State",
    "Submission",
    "TaskDefinition",
    "TaskOptions",
    "TaskSpec",
    "check_job_id",
    "check_queue_name",
    "current_job",
    "enter",
    "explain",
    "frozen",
    "overridden",
    "paused",
    "prepare",
    "refuse_constants",
    "span",
    "summary",
]
