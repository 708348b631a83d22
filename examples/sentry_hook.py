"""Errors of jobs in Sentry, with the trace of whoever submitted them: add `watch(jobs)` after `jobs = Runner(...)`. Needs sentry-sdk."""

from typing import Any

import sentry_sdk

from runner import JobContext, NewJob, Next, Runner


def watch(jobs: Runner[Any]) -> None:
    """Report every failed attempt of this app."""

    @jobs.on_submit
    def trace(job: NewJob) -> None:
        job.metadata["sentry-trace"] = sentry_sdk.get_traceparent() or ""

    @jobs.middleware
    async def report(job: JobContext, call_next: Next) -> Any:
        with sentry_sdk.isolation_scope() as scope:
            sentry_sdk.continue_trace(job.metadata)
            scope.set_tags({"job": job.id, "task": job.task, "attempt": job.attempt})
            try:
                return await call_next()
            except Exception as error:
                sentry_sdk.capture_exception(error)
                raise
