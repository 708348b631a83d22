"""What the type checkers of users see of hooks: never run, read by mypy and pyright in strict mode. An ignore is an error they must find."""

from datetime import datetime
from typing import Any, assert_type

from runner import BudgetWarning, DeadLetter, FailedAttempt, Finished, JobError, JobOptions, NewJob, Runner, State, Unit, current_job

jobs = Runner("typing-hooks")


@jobs.task
async def work() -> None: ...


@jobs.on_submit
def submitted(job: NewJob) -> None:
    assert_type(job.metadata, dict[str, Any])
    assert_type(job.args, dict[str, Any])
    assert_type(job.options, JobOptions)


@jobs.on_failure
async def failed(attempt: FailedAttempt) -> None:
    assert_type(attempt.error, BaseException)
    assert_type(attempt.retry_in, float | None)


@work.on_dead_letter
def dead(letter: DeadLetter) -> None:
    assert_type(letter.error, JobError)


@jobs.on_finish
@work.on_finish
async def finished(job: Finished) -> None:
    assert_type(job.state, State)
    assert_type(job.ran_s + job.waited_s, float)
    assert_type(current_job().metadata, dict[str, Any])


@jobs.on_budget
async def warned(warning: BudgetWarning) -> None:
    assert_type(warning.share, float)
    assert_type(warning.unit, Unit | None)
    assert_type(warning.ends, datetime)


jobs.on_budget(finished)  # type: ignore[type-var]
work.on_budget(warned)  # type: ignore[attr-defined]
jobs.on_failure(finished)  # type: ignore[type-var]
