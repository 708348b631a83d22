"""What a worker says of itself when it enlists: for people, and what it serves."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from runner.client import Runner, schedules_of
from runner.names import DEFAULT_POOL, is_process_pool
from runner.store import FORMAT


def details_of(runner: Runner[Any], pools: Sequence[str]) -> dict[str, Any]:
    """A worker of an app in this process that reads these pools, as JSON for people."""
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "slots": runner.settings.concurrency,
        "tasks": sorted(runner.tasks),
        "children": runner.children.size if any(map(is_process_pool, pools)) else 0,
        "pools": list(pools),
        "python": platform.python_version(),
        "version": _version(),
        "format": FORMAT,
        "honours": ["pauses"],
    }


def served_by(runner: Runner[Any], pools: Sequence[str]) -> list[str]:
    """What its workers serve that read these pools, see `Claims.enlist`."""
    tasks = runner.tasks.items()
    versions = [f"v:{name}:{task.definition.calls.digest}" for name, task in tasks]
    limits, schedules = (f"l:{limit}" for limit in runner.limits), (f"s:{schedule}" for schedule in schedules_of(runner))
    # Workers that read the default pool alone say what those of before pools say.
    read = [f"p:{pool}" for pool in pools if pool != DEFAULT_POOL] + ([] if DEFAULT_POOL in pools else ["p:"])
    return [*(f"t:{name}" for name, _ in tasks), *versions, *limits, *schedules, *read]


def _version() -> str | None:
    """Of this library; None for a copy of its files that was not installed."""
    try:
        return version("metered-runner")
    except PackageNotFoundError:
        return None
