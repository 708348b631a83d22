"""Reload: watches the Python files of a folder, for a developer who changes them."""

from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import PythonFilter, awatch

_DEBOUNCE_MS = 400
"""An editor, or a checkout, writes several files and each more than once."""


def changes(folder: str) -> AsyncIterator[str]:
    """The name of one changed file, for each time that some have changed."""
    return _changes(Path(folder).resolve())


async def _changes(root: Path) -> AsyncIterator[str]:
    async for changed in awatch(root, watch_filter=PythonFilter(), debounce=_DEBOUNCE_MS, raise_interrupt=False):
        path = Path(min(path for _, path in changed))
        yield str(path.relative_to(root) if path.is_relative_to(root) else path)
