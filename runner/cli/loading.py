"""What a command imports while it runs: the app of --app, and modules that only some commands need."""

import importlib
from collections.abc import Callable
from typing import Any

from runner.client import Runner, load_app, load_queue

DEFAULT_APP = "runner.cli.demo.tasks:jobs"


def load(path: str | None, **options: Any) -> Runner:
    """The Runner of `--app`, of RUNNER_APP, or of the demonstration; options given on the command line replace its settings."""
    return load_app(path, default=DEFAULT_APP, **options)


def load_for_api(path: str | None, **options: Any) -> Runner:
    """The same for a command that needs only the queue's name: with RUNNER_QUEUE the app is not imported."""
    return load_queue(path, default=DEFAULT_APP, **options)


def deferred(path: str) -> Callable[..., Any]:
    """The function at module:name, imported at its first call: a worker must not hold the service and the demonstration in memory."""
    module, _, name = path.partition(":")

    def call(*args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **options)

    return call
