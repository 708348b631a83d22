"""Catalog: the published tasks as a producer knows them, and how a call by name becomes a submission."""

import asyncio
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from pydantic_core import PydanticSerializationError, to_json

from runner.client.shared_call import SharedCall
from runner.clock import monotonic_s
from runner.errors import InvalidArguments, UnknownTask
from runner.jobs import JobOptions, NotJson, Submission, TaskSpec, prepare, refuse_constants
from runner.limits import Limit
from runner.store import Limits

_OLD_S = 2.0
_PAUSE_S = 0.1
"""The shortest pause between two readings: a flood of unknown names costs Redis ten readings a second."""


class PublishedTask:
    """A task of the catalog: its spec, the limits it uses with the numbers in force, and a compiled check of its arguments."""

    def __init__(self, spec: TaskSpec, policies: Mapping[str, Limit]) -> None:
        self.spec = spec
        self._defaults = spec.defaults()
        self._limits = [policies[name] for name in spec.limits if name in policies]
        self._schema = jsonschema_rs.validator_for(spec.parameters)

    def prepare(self, args: Mapping[str, Any], options: JobOptions) -> Submission:
        """Check a call and make it a submission. Raises `InvalidArguments` or another `SubmissionRefused`."""
        if not self._schema.is_valid(args):
            raise InvalidArguments(f"task {self.spec.name!r}: {'; '.join(self._faults(args)[:10])}")
        try:
            encoded = to_json(args, inf_nan_mode="constants")
            refuse_constants(encoded)
        except (NotJson, PydanticSerializationError) as error:
            raise InvalidArguments(f"task {self.spec.name!r}: arguments cannot be sent as JSON: {error}") from error
        return prepare(self.spec, self._limits, encoded, {**self._defaults, **args}, options)

    def _faults(self, args: Mapping[str, Any]) -> list[str]:
        return [f"{'.'.join(map(str, error.instance_path)) or 'arguments'}: {error.message}" for error in self._schema.iter_errors(args)]


class Catalog:
    """The tasks of one queue, as last read. `get` finds every task that was published before the call."""

    def __init__(self, store: Limits) -> None:
        self._store = store
        self._tasks: dict[str, PublishedTask] = {}
        self._read_s = float("-inf")
        self._read = SharedCall(self._read_now, name="catalog")

    async def get(self, name: str) -> PublishedTask:
        """The task, from a catalog that is at most 2 s old. Raises `UnknownTask`, `StoreUnavailable`."""
        asked_s = monotonic_s()
        while (name not in self._tasks and self._read_s < asked_s) or asked_s - self._read_s > _OLD_S:
            await self._read()
        if name not in self._tasks:
            known = ", ".join(self._tasks) or "none; start a worker first"
            raise UnknownTask(f"unknown task {name!r} on queue {self._store.keys.queue!r} (known: {known})")
        return self._tasks[name]

    async def close(self) -> None:
        """Cancel a reading that is under way."""
        await self._read.close()

    async def _read_now(self) -> None:
        await asyncio.sleep(self._read_s + _PAUSE_S - monotonic_s())
        began_s = monotonic_s()
        tasks, policies = await self._store.tasks(), await self._store.policies()
        self._tasks = {task: PublishedTask(TaskSpec.from_json(fields), policies) for task, fields in tasks.items()}
        self._read_s = began_s
