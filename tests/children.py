"""Processes that a test sends signals to."""

import asyncio
import signal
from asyncio.subprocess import Process
from typing import Any


async def start_child(*words: str, **options: Any) -> Process:
    """`asyncio.create_subprocess_exec`, for a process that heeds SIGINT however the suite was started.

    A shell lets what it starts in the background ignore SIGINT, and processes inherit that.
    """
    return await asyncio.create_subprocess_exec(*words, **options, preexec_fn=_heed_sigint)


def _heed_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
