"""Names of parametrized tests: the same in every process, as pytest-xdist needs them."""

import re
from collections.abc import Iterable

import pytest

_ADDRESS = re.compile(r" (at 0x|id=')[0-9a-f]+'?")


def named(value: object) -> str:
    """A repr without addresses."""
    return _ADDRESS.sub("", repr(value))[:80]


def check_names(items: Iterable[pytest.Item]) -> None:
    """Raises UsageError for a name that is another one in the next process."""
    for item in items:
        if _ADDRESS.search(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} has an address in its name: give its parameters ids=named")
