"""From `--app module:object` to the user's Runner, from options to its settings, and to what only some commands need."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.client import Runner
from runner.errors import ConfigurationError
from runner.settings import load_settings

DEFAULT_APP = "runner.cli.demo.tasks:jobs"


def load_app(path: str | None, **options: Any) -> Runner:
    """The Runner of `--app` (or RUNNER_APP, or the demo's), with the options given on the command line. Raises `ConfigurationError`."""
    settings = load_settings(app=path, **options)
    name = settings.app or DEFAULT_APP
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        message = f"app {name!r} is not understood: write module:object, like shop.tasks:jobs"
        raise ConfigurationError(message)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        message = f"app {name!r}: there is no module {error.name!r} in {Path.cwd()} or on the path"
        raise ConfigurationError(message) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Runner):
        message = f"app {name!r}: {attribute} is {type(found).__name__}, not a Runner; name the object made by Runner(...)"
        raise ConfigurationError(message)
    configure(found, **options)
    return found


def configure(runner: Runner, **options: Any) -> None:
    """Let options that are given win over what the app says of itself."""
    given = {field: value for field, value in options.items() if value is not None}
    runner.settings = load_settings(**{**runner.settings.model_dump(exclude_unset=True), **given})


def deferred(path: str) -> Callable[..., Any]:
    """The function at module:name, imported when it is called: a worker is not to hold the service and the demonstration in memory."""
    module, _, name = path.partition(":")

    def call(*args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **options)

    return call
