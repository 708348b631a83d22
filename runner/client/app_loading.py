"""load_app: from `module:object`, as RUNNER_APP and --app name it, to the Runner of a project. load_queue: to its queue alone."""

import importlib
import sys
from pathlib import Path
from typing import Any

from runner.client.app import Runner
from runner.errors import ConfigurationError
from runner.names import DEFAULT_POOL, MOST_POOLS, base_pool
from runner.settings import load_settings


def load_app(path: str | None = None, *, default: str | None = None, **settings: Any) -> Runner:
    """The Runner that `path` names as `module:object`, or else RUNNER_APP, or else `default`; without any, a Runner of queue "default".

    The module is looked for in the current folder first. The settings given here replace those of the Runner; None leaves one
    as it is. Raises `ConfigurationError` if there is no such module or object.
    """
    found = load_settings(app=path, **settings)
    name = found.app or default
    if name is None:
        return Runner(settings=found)
    module, _, attribute = name.partition(":")
    if not attribute or not all(part.isidentifier() for part in module.split(".")):
        raise ConfigurationError(f"app {name!r} is not understood: write module:object, like shop.tasks:jobs")
    app = _imported(module, name)
    for part in attribute.split("."):
        app = getattr(app, part, None)
    if not isinstance(app, Runner):
        raise ConfigurationError(f"app {name!r}: {attribute} is {type(app).__name__}, not a Runner; name the object made by Runner(...)")
    configure(app, **settings)
    return app


def load_queue(path: str | None = None, *, default: str | None = None, **settings: Any) -> Runner:
    """A Runner without tasks of the queue that RUNNER_QUEUE names, or else the Runner that `load_app` returns.

    For a process that needs only the queue's name, such as the API: with RUNNER_QUEUE it does not import the project's code.
    Raises `ConfigurationError` as `load_app` does, and for a name that no queue can have.
    """
    found = load_settings(**settings)
    if path is None and found.queue:
        return Runner(found.queue, settings=found)
    return load_app(path, default=default, **settings)


def configure(runner: Runner, **settings: Any) -> None:
    """Replace settings of a Runner; None leaves one as it is."""
    given = {field: value for field, value in settings.items() if value is not None}
    runner.settings = load_settings(**{**runner.settings.model_dump(exclude_unset=True), **given})


def pools_of(*runners: Runner) -> str:
    """The default pool and those of the tasks of these apps, as the setting names them: for who runs all of them. A worker reads 8 at most."""
    pools = dict.fromkeys([DEFAULT_POOL, *(base_pool(task.definition.spec.pool) for runner in runners for task in runner.tasks.values())])
    return ",".join([*pools][:MOST_POOLS])


def _imported(module: str, app: str) -> Any:
    """The module. Another one that is missing inside it is an error of its own."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise ConfigurationError(f"app {app!r}: there is no module {error.name!r} in {Path.cwd()} or on the path{_hint(module)}") from error


def _hint(module: str) -> str:
    """The service of this repository is a package `api`, too: in its process, `api.tasks` cannot be the project's."""
    package = sys.modules.get(module.partition(".")[0])
    found_in = getattr(package, "__file__", None)
    return f" (the package there is {found_in}); for the API set RUNNER_QUEUE to the queue's name instead" if found_in else ""
