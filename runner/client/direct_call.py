"""A direct call of a task: its function in this process, with its dependencies, without queue or limits."""

import inspect
from collections.abc import Mapping
from typing import Any

from runner.errors import ConfigurationError
from runner.jobs import Injection, Plan, TaskDefinition, call_in_thread_with, call_with, current_job

_WHOSE = "(none: a direct call)"


async def call(task: TaskDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Of an async task. What is per worker is made for this call. Raises `ConfigurationError` if it needs the context of a job."""
    if task.injection is None:
        return await task.function(*args, **kwargs)
    plan, values, arguments = _prepared(task, task.injection, args, kwargs)
    return await call_with(plan, values, None, task.function, arguments, _WHOSE)


def call_plain(task: TaskDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The same of a plain task. Raises `ConfigurationError` if a dependency needs an event loop."""
    if task.injection is None:
        return task.function(*args, **kwargs)
    plan, values, arguments = _prepared(task, task.injection, args, kwargs)
    if plan.first_async is not None:
        raise ConfigurationError(
            f"task {task.spec.name!r}: its dependency {plan.first_async.name} is async, and a plain call has no event loop for it:"
            " give it, or submit a job"
        )
    return call_in_thread_with(plan.all_inner, values, task.function, arguments, _WHOSE)


def _prepared(
    task: TaskDefinition, injection: Injection, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Plan, list[Any], dict[str, Any]]:
    """The plan, its values and the arguments of a call. A caller may give dependencies: they are not made then."""
    arguments = dict(inspect.signature(task.function).bind_partial(*args, **kwargs).arguments)
    given = injection.names & arguments.keys()
    plan = injection.plan.without(given) if given else injection.plan
    return plan, injection.values(plan, current_job() if plan.uses_job else None), arguments
