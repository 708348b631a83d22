"""What `make test` leaves to `make test-slow`, and the order in which a run takes its tests.

The state machine and the workers are tested on every server. How the doors and the processes around them behave hardly depends on
the server, so their tests run on the first one alone, except those marked `every_server`: on another server they count as slow.
"""

from collections.abc import Collection
from pathlib import PurePath

import pytest

BY_LENGTH = ("outside", "chaos", "process", "worker", "http", "snippets", "store", "testing", "unit")
"""The folders, that with the longest tests first: the last tests of a run should be short, so that its processes end together."""
ON_ONE_SERVER = {"outside", "chaos", "process", "http"}


def arrange(items: list[pytest.Item], others: Collection[str], groups: Collection[str]) -> None:
    """Mark what is slow because it runs on one of the `others` again, and sort.

    All tests on a server of `groups` follow each other: no two of them are to run at the same time.
    """
    for item in items:
        if _folder(item) in ON_ONE_SERVER and _kinds(item) & {*others} and item.get_closest_marker("every_server") is None:
            item.add_marker("slow")
    items.sort(key=lambda item: (sorted(_kinds(item) & {*groups}), item.get_closest_marker("slow") is None, _rank(item)))


def _folder(item: pytest.Item) -> str:
    return PurePath(item.nodeid).parts[1]


def _rank(item: pytest.Item) -> int:
    return BY_LENGTH.index(_folder(item))


def _kinds(item: pytest.Item) -> set[str]:
    """The servers a test runs on, as its parameters say: `redis-always` is a redis, too."""
    parameters = getattr(item, "callspec", None)
    values = [str(value) for name, value in parameters.params.items() if name.endswith("server")] if parameters is not None else []
    return {*values, *(value.partition("-")[0] for value in values)}
