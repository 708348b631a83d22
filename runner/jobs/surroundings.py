"""Surroundings: what an app puts around all of its tasks. They share it, so it may be added to until a task runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.errors import ConfigurationError
from runner.foreign import shown
from runner.jobs.dependencies import Dependency
from runner.jobs.dependency_graph import Overrides
from runner.jobs.hooks import Hooks
from runner.jobs.middleware import Middleware

NONE: Overrides = {}


class Surroundings:
    """Of one app. dependencies: run for every job, their values unused. ambient: types whose value every job has, and its place."""

    __slots__ = ("ambient", "app", "dependencies", "hooks", "middleware", "overrides")

    def __init__(self, app: Any = None, dependencies: Sequence[object] = (), ambient: Mapping[Any, int] | None = None) -> None:
        self.app = app
        for dependency in dependencies:
            if not isinstance(dependency, Dependency):
                raise ConfigurationError(f"a dependency of the app is {shown(dependency, 60)}: give Depends(...)")
        self.dependencies = tuple(dependency for dependency in dependencies if isinstance(dependency, Dependency))
        self.ambient = ambient or {}
        self.hooks = Hooks()
        self.middleware: list[Middleware] = []
        """Around every attempt, the outermost first."""
        self.overrides = NONE
        """The functions in force in the place of others: another mapping, never a changed one, after each change."""
