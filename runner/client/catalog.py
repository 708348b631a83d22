"""Catalog: the published tasks as a producer knows them, and how a call by name becomes a submission."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from runner.client.batcher import Batcher
from runner.clock import monotonic_s
from runner.errors import IncompleteCatalog, UnknownTask
from runner.foreign import shown
from runner.jobs import Calls, JobOptions, NamedArguments, Submission, TaskSpec, opaque_arguments
from runner.limits import Limit, limit_of
from runner.names import first_of
from runner.store import FORMAT, MOST_PER_CALL, Declarations, Entry, Known, spec_fields

_OLD_S = 2.0
_PAUSE_S = 0.1
"""The shortest pause between two readings: a flood of unknown names costs Redis ten readings a second."""
_MOST_NAMED = 20
"""Tasks that the message about an unknown one lists."""


class PublishedTask:
    """A task of the catalog: its spec, and how it is submitted without its code. `policies` are the limits, as the code declares them."""

    def __init__(self, spec: TaskSpec, policies: Mapping[str, Limit]) -> None:
        self.spec = spec
        self._arguments = NamedArguments(spec.name, spec.form, spec.dependencies)
        spec = replace(spec, form=self._arguments.form)
        self._calls = Calls(spec, [policies[name] for name in spec.limits], by_code=False)
        self.on_conflict = _words_on_conflict(spec)

    def prepare(self, args: Mapping[str, Any], options: JobOptions) -> Submission:
        """Check a call and make it a submission. Raises `InvalidArguments` or another `SubmissionRefused`."""
        return self._calls.prepare(self._arguments.encode(args), options)


class _Built(NamedTuple):
    """A task, and what it was made of: while that is the same it need not be made again."""

    body: bytes | None
    policies: dict[str, Any]
    task: PublishedTask


class TasksAsRead:
    """The tasks that were asked for, as last read, each made once as long as its entry is the same. It reads as often as it is asked."""

    def __init__(self, store: Declarations) -> None:
        self._store = store
        self._built: dict[str, _Built] = {}
        self._current: set[str] = set()
        """The tasks whose entries are those of `_version`."""
        self._version = ""

    def has(self, names: Iterable[str]) -> bool:
        """Whether all of them were found when they were last read."""
        return self._current.issuperset(names)

    def task(self, name: str) -> PublishedTask:
        """One of those that were found."""
        return self._built[name].task

    async def look_up(self, names: Sequence[str]) -> dict[str, PublishedTask | UnknownTask | IncompleteCatalog]:
        """These (`MOST_PER_CALL` at most) as they are now, or the first of them, or why there is none. Raises `StoreUnavailable`."""
        known = await self._store.known(self._version if self.has(names) else "", names)
        if known.tasks is not None and _missing_limits(known):
            # Limits are published before the tasks that use them, so it was looked at in the middle of something.
            known = await self._store.known("", names)
        if known.tasks is None:
            return {name: self._built[name].task for name in names}
        if known.version != self._version:
            self._version, self._current = known.version, set()
        return {name: self._note(name, entry, known) for name, entry in known.tasks.items()}

    async def all_of(self, names: Iterable[str]) -> dict[str, PublishedTask | UnknownTask | IncompleteCatalog]:
        """All of these, however many they are."""
        found: dict[str, PublishedTask | UnknownTask | IncompleteCatalog] = {}
        while missing := [name for name in dict.fromkeys(names) if name not in found]:
            found |= await self.look_up(missing[:MOST_PER_CALL])
        return found

    def _note(self, name: str, entry: Entry | None, known: Known) -> PublishedTask | UnknownTask | IncompleteCatalog:
        """The task as it is now, or why there is none."""
        try:
            task = self._task_of(name, entry, known)
        except (UnknownTask, IncompleteCatalog) as error:
            self._built.pop(name, None)
            self._current.discard(name)
            return error
        self._current.add(name)
        return task

    def _task_of(self, name: str, entry: Entry | None, known: Known) -> PublishedTask:
        """Raises `UnknownTask`, `IncompleteCatalog`."""
        queue = self._store.keys.queue
        if entry is None:
            names = first_of(known.others, _MOST_NAMED)
            raise UnknownTask(f"unknown task {name!r} on queue {queue!r} (known: {names or 'none; start a worker first'})")
        if entry.least_format > FORMAT:
            raise IncompleteCatalog(
                f"task {name!r} on queue {queue!r} is submitted by code of format {entry.least_format} and newer, and this has format {FORMAT}:"
                " upgrade it"
            )
        missing = [limit for limit in entry.limits if limit not in known.limits]
        if missing:
            raise IncompleteCatalog(
                f"task {name!r} on queue {queue!r} uses limit {missing[0]!r}, which is not in the catalog: start a worker that declares it"
            )
        try:
            return self._build(name, entry, {limit: json.loads(known.limits[limit])["code"] for limit in entry.limits})
        except Exception as error:
            raise IncompleteCatalog(
                f"task {name!r} on queue {queue!r} cannot be read in the catalog"
                f" ({type(error).__name__}: {str(error)[:200]}): start a worker that declares it"
            ) from error

    def _build(self, name: str, entry: Entry, policies: dict[str, Any]) -> PublishedTask:
        """Raises whatever damage makes it raise: it concerns this task only."""
        built = self._built.get(name)
        if built is None or (built.body, built.policies) != (entry.body, policies):
            limits = {limit: limit_of(policy) for limit, policy in policies.items()}
            built = self._built[name] = _Built(entry.body, policies, PublishedTask(TaskSpec.from_json(spec_fields(entry)), limits))
        return built.task


class Catalog:
    """The tasks of one queue that were asked for, as last read. `get` finds every task that was published before the call.

    A queue can have hundreds of tasks, and a check of arguments takes a tenth of a millisecond to make: what nobody asks for is not read.
    """

    def __init__(self, store: Declarations) -> None:
        self._tasks = TasksAsRead(store)
        self._read_s = float("-inf")
        self._readings: Batcher[str, PublishedTask] = Batcher(self._read, fitting=lambda _: MOST_PER_CALL)

    async def get(self, name: str) -> PublishedTask:
        """The task, from a catalog that is at most 2 s old. Raises `UnknownTask`, `IncompleteCatalog`, `StoreUnavailable`."""
        given: object = name
        if not (isinstance(given, str) and (given.isascii() or given.isprintable())):  # half a surrogate pair cannot be sent
            raise UnknownTask(f"{shown(given, 80)} is no name of a task: give the text under which it is declared")
        if self._tasks.has((name,)) and monotonic_s() - self._read_s <= _OLD_S:
            return self._tasks.task(name)
        return await self._readings.ask(name)

    async def close(self) -> None:
        """Wait for the reading that is under way."""
        await self._readings.close()

    async def _read(self, names: Sequence[str]) -> list[PublishedTask | UnknownTask | IncompleteCatalog]:
        await asyncio.sleep(0 if self._tasks.has(names) else self._read_s + _PAUSE_S - monotonic_s())
        began_s = monotonic_s()
        found = await self._tasks.all_of(names)
        self._read_s = began_s
        return [_own(found[name]) for name in names]


def _own(answer: PublishedTask | UnknownTask | IncompleteCatalog) -> PublishedTask | UnknownTask | IncompleteCatalog:
    """An error is raised at several callers, each of which says in it which of its jobs was refused."""
    return answer if isinstance(answer, PublishedTask) else type(answer)(*answer.args)


def _missing_limits(known: Known) -> bool:
    return any(limit not in known.limits for entry in (known.tasks or {}).values() if entry is not None for limit in entry.limits)


def _words_on_conflict(spec: TaskSpec) -> str:
    """What a caller should know whose call is another than that of the same id, as far as it depends on spelling."""
    unknown = [f"{name!r} ({why})" for name, why in opaque_arguments(spec.form)]
    return f"; of {', '.join(unknown)} the code alone knows the form, so another spelling is another call" if unknown else ""
