"""Abandon: lets the process end although some handlers do not."""

import asyncio
import threading
from collections.abc import Sequence


def abandon(attempts: Sequence[asyncio.Task[None]]) -> None:
    """Leave these attempts behind: they ignore their cancellation, and their jobs are given back already.

    `asyncio.run` cancels every task it knows of and waits until it ends, so it must not know of these.
    A task that nothing refers to is destroyed, which throws GeneratorExit into its handler: one more exception to ignore, and a warning.
    So a daemon thread refers to them until the process ends.
    """
    if attempts:
        for attempt in attempts:
            asyncio.tasks._unregister_task(attempt)  # noqa: SLF001 - public by asyncio's own documentation, "Extending"
        threading.Thread(target=_keep, args=[list(attempts)], name="runner-abandoned", daemon=True).start()


def _keep(_: object) -> None:
    threading.Event().wait()
