"""Copies: what many callers asked for, for each of them, as each may change what it gets. Others of the event loop have their turn between."""

import asyncio
from dataclasses import replace
from marshal import dumps, loads
from typing import NamedTuple

from runner.clock import monotonic_s
from runner.jobs import JobStatus

_SLICE_S = 0.005


class Shared(NamedTuple):
    """A job that another caller was given: this one needs a copy."""

    status: JobStatus


class Copies:
    """Of one event loop: one at a time, and the loop's other work after some ms of them."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._busy_s = 0.0

    async def of(self, status: JobStatus) -> JobStatus:
        """A job of its own. Arguments and result are JSON that was read here: `marshal` copies it in a tenth of the time of `deepcopy`."""
        if status.args is None and status.result is None:
            return replace(status)
        async with self._turn:
            if self._busy_s > _SLICE_S:
                self._busy_s = 0.0
                await asyncio.sleep(0)
            began_s = monotonic_s()
            copy = replace(status, args=loads(dumps(status.args)), result=loads(dumps(status.result)))  # noqa: S302 - written in the same line
            self._busy_s += monotonic_s() - began_s
        return copy
