"""Overrides: other functions in the place of dependencies, for a block of code, in all tasks of an app."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runner.client.task import Task
from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs import Overrides, Surroundings, name_of_function


@contextmanager
def overriding(surroundings: Surroundings, tasks: Mapping[str, Task[..., Any]], functions: Overrides) -> Iterator[None]:
    """While entered, `functions` are in force. Raises `ConfigurationError`, having changed nothing."""
    before = surroundings.overrides
    overrides = {**before, **_checked(functions)}
    used = set[Any]()
    for task in tasks.values():
        if task.definition.injection is not None:
            used |= task.definition.injection.planned(overrides)[1]
    unused = [function for function in functions if function not in used]
    if unused:
        raise ConfigurationError(f"no task of this app depends on {name_of_function(unused[0])}: override the function given to Depends")
    surroundings.overrides = overrides
    try:
        yield
    finally:
        surroundings.overrides = before


def _checked(functions: Overrides) -> Overrides:
    for function, other in functions.items():
        given: object = other
        if not callable(given):
            raise ConfigurationError(
                f"{name_of_function(function)} is overridden by {shown(other, 60)}: give a function that returns it, like lambda: fake"
            )
    return functions
