"""What a command imports while it runs: the app of --app, and modules that only some commands need."""

import importlib
from collections.abc import Callable
from typing import Any

from runner.client import Runner, load_app, load_queue
from runner.errors import ConfigurationError
from runner.extras import needed_by
from runner.garbage import put_off
from runner.settings import load_settings

DEFAULT_APP = "runner.cli.demo.tasks:jobs"
_REMEDY = f"give --app module:object or set RUNNER_APP, like shop.tasks:jobs (the tasks of the demonstration are {DEFAULT_APP})"


def load(path: str | None, **options: Any) -> Runner:
    """The Runner of `--app`, of RUNNER_APP, or of the demonstration; options given on the command line replace its settings."""
    return load_app(path, default=DEFAULT_APP, **options)


def load_served(path: str | None, **options: Any) -> Runner:
    """The same for a worker, which needs an app: it would look healthy with the tasks of the demonstration, and run none of the project's."""
    if not (path or load_settings().app):
        raise ConfigurationError(f"a worker needs an app: {_REMEDY}")
    return load_app(path, **options)


def load_for_api(path: str | None, **options: Any) -> Runner:
    """The same for the API, which needs only the queue's name: with RUNNER_QUEUE the app is not imported."""
    settings = load_settings()
    if not (path or settings.app or settings.queue):
        raise ConfigurationError(f"the API needs a queue: set RUNNER_QUEUE to its name, or {_REMEDY}")
    return load_queue(path, **options)


def deferred(path: str) -> Callable[..., Any]:
    """The function at module:name, imported at its first call: a worker must not hold the service and the demonstration in memory."""
    module, _, name = path.partition(":")

    def call(*args: Any, **options: Any) -> Any:
        with needed_by("this command"), put_off():
            function = getattr(importlib.import_module(module), name)
        return function(*args, **options)

    return call
