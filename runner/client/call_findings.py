"""What the doctor finds in the catalog about calls: tasks that need their code to be submitted, and keys that are spelled in two ways."""

from collections.abc import Iterator, Mapping, Sequence

from runner.jobs import TaskSpec, kind_of_argument
from runner.limits import Limit, template_fields
from runner.names import first_of
from runner.store import Finding, Level

_MOST_NAMED = 10


def call_findings(tasks: Sequence[TaskSpec], limits: Mapping[str, Limit]) -> Finding:
    """One finding on the calls of all tasks. `limits`: as the code declares them."""
    lines = [f"task {task.name!r} is submitted by code only, as {fact}" for task in tasks for fact in task.by_code_only]
    lines += _differing_keys(tasks, limits)
    if not lines:
        return Finding("calls", Level.ok, "every task can be submitted by name, and every key has one spelling")
    return Finding("calls", Level.warning, first_of(lines, _MOST_NAMED, joint="; ", rest="; and"))


def _differing_keys(tasks: Sequence[TaskSpec], limits: Mapping[str, Limit]) -> Iterator[str]:
    """The limits whose key comes from arguments of different types in different tasks."""
    for limit in limits.values():
        for argument in dict.fromkeys(template_fields(limit.key or "")):
            first: dict[str, str] = {}
            for task in tasks:
                if limit.name in task.limits:
                    first.setdefault(kind_of_argument(task.form, argument), task.name)
            if len(first) > 1:
                kinds = " and ".join(f"{kind} in {name!r}" for kind, name in first.items())
                yield f"limit {limit.name!r} takes its key from {argument!r}, which is {kinds}: one value may have two buckets, so use one type"
