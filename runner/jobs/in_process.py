"""How a task's function is called in a child process."""

from typing import Any

from runner.jobs.context import Attempt, JobContext
from runner.jobs.injection import call_in_thread_with
from runner.jobs.task_definition import TaskDefinition


def call_in_process(attempt: Attempt, task: TaskDefinition, arguments: dict[str, Any]) -> Any:
    """Call the function with its dependencies, as a thread of the worker would. Raises what they raise."""
    if task.injection is None:
        return task.function(**arguments)
    plan = task.injection.plan.all_inner
    values = task.injection.values(plan, JobContext(attempt))
    return call_in_thread_with(plan, values, task.function, arguments, f"job {attempt.job.id}")
