"""Catalog: the catalog as a producer knows it. Read again when it is old, or lacks a task; by one at a time, however many ask."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import jsonschema_rs

from runner.clock import monotonic_s
from runner.errors import InvalidArguments, UnknownTask
from runner.jobs import LimitUse, TaskSpec
from runner.limits import Concurrency
from runner.store import Limits

_OLD_S = 2.0
_PAUSE_S = 0.1
"""Between two readings at least: a flood of unknown names costs Redis ten readings a second."""


class PublishedTask:
    """A task of the catalog: its spec, the limits it uses as they stand, and a compiled check of its arguments."""

    def __init__(self, spec: TaskSpec, policies: Mapping[str, Mapping[str, Any]]) -> None:
        self.spec = spec
        self.defaults = spec.defaults()
        self.uses = [
            LimitUse(name, policies[name]["key"], policies[name]["capacity"], policies[name]["kind"] == Concurrency.kind)
            for name in spec.limits
            if name in policies
        ]
        self._schema = jsonschema_rs.validator_for(spec.parameters)

    def check(self, args: Mapping[str, Any]) -> None:
        """Raises `InvalidArguments` naming what does not fit the task's schema."""
        if self._schema.is_valid(args):
            return
        faults = [f"{'.'.join(map(str, error.instance_path)) or 'arguments'}: {error.message}" for error in self._schema.iter_errors(args)]
        message = f"task {self.spec.name!r}: {'; '.join(faults[:10])}"
        raise InvalidArguments(message)


class Catalog:
    """The tasks of one queue. A task published before it is asked for is known, also if the last reading was just before."""

    def __init__(self, store: Limits) -> None:
        self._store = store
        self._tasks: dict[str, PublishedTask] = {}
        self._read_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def get(self, name: str) -> PublishedTask:
        """The task, from a catalog that is at most 2 s old. Raises `UnknownTask`, `StoreUnavailable`."""
        asked_s = monotonic_s()
        while (name not in self._tasks and self._read_s < asked_s) or asked_s - self._read_s > _OLD_S:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read(), name="catalog")
                self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to see it
            # All who wait share its end, also a failure: one after the other they would each wait for a time-out of their own.
            await asyncio.shield(self._reading)
        if name not in self._tasks:
            known = ", ".join(self._tasks) or "none; start a worker first"
            message = f"unknown task {name!r} on queue {self._store.keys.queue!r} (known: {known})"
            raise UnknownTask(message)
        return self._tasks[name]

    async def close(self) -> None:
        """End a reading that nobody waits for any more."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._reading

    async def _read(self) -> None:
        try:
            await asyncio.sleep(self._read_s + _PAUSE_S - monotonic_s())
            began_s = monotonic_s()
            tasks, policies = await self._store.tasks(), await self._store.policies()
            self._tasks = {task: PublishedTask(TaskSpec.from_json(fields), policies) for task, fields in tasks.items()}
            self._read_s = began_s
        finally:
            self._reading = None
