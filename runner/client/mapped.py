"""Mapped: submits a job for each of many items, a window of them at a time, and gives each item once its job has ended."""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Generic, TypeVar

from runner.client.completed import Done
from runner.client.handle import JobHandle
from runner.client.patience import Patience
from runner.client.session import Session
from runner.client.task import Task, options_of
from runner.errors import InvalidArguments, InvalidOption, SubmissionRefused
from runner.foreign import shown
from runner.jobs import Submission
from runner.limits import checked_template, key_values
from runner.ranges import checked_whole

T = TypeVar("T")
R = TypeVar("R")

Submit = Callable[[Iterable[Submission[R]]], Awaitable[Sequence[JobHandle[R]]]]

_TURN = 100
"""Items that are prepared before others of the event loop have a turn."""
_MOST_AT_ONCE = 50
"""Jobs that are cancelled at once."""


class Mapped(Generic[T, R]):
    """One run. Raises `InvalidOption`, `ConfigurationError` for an `id` that is no template."""

    def __init__(
        self,
        submit: Submit[R],
        session: Session,
        task: Task[..., R],
        items: Iterable[T] | AsyncIterable[T],
        *,
        window: int,
        id: str | Callable[[T], str] | None,
    ) -> None:
        self._submit = submit
        self._session = session
        self._task = task
        self._items = items
        self._window = checked_whole("window of a map", window, error=InvalidOption)
        if options_of(task).id is not None:
            raise InvalidOption(f"the task to map has the id {options_of(task).id!r}, and each item needs its own: give id to map")
        self._id = id if id is None or callable(id) else checked_template("id", id)
        self._ends = session.ends()
        self._waiting: defaultdict[str, list[tuple[int, T]]] = defaultdict(list)
        """By the id of its job, the numbers and items that wait for it."""
        self._inbox: list[tuple[int, Submission[R]]] = []
        self._held = 0
        self._is_read = False
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()

    async def results(self, *, ordered: bool, cancel: bool) -> AsyncGenerator[Done[T, R], None]:
        """Each item whose job has ended, see `Runner.map`."""
        tasks = [asyncio.create_task(self._read(), name="map: read"), asyncio.create_task(self._send(), name="map: submit")]
        for task in tasks:
            task.add_done_callback(self._note_end)
        next_number, ahead = 0, dict[int, Done[T, R]]()
        try:
            async with aclosing(self._ended()) as ended:
                async for number, done in ended:
                    if not ordered:
                        self._release()
                        yield done
                        continue
                    ahead[number] = done
                    while next_number in ahead:
                        self._release()
                        yield ahead.pop(next_number)
                        next_number += 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._ends.close()
            if cancel:
                await self._cancel_rest()

    async def _ended(self) -> AsyncGenerator[tuple[int, Done[T, R]], None]:
        kind = self._task.definition.arguments.result
        while page := await self._ends.page():
            for job_id, status in page:
                found = self._session.unknown(job_id) if status is None else status
                for number, item in self._waiting.pop(job_id, ()):
                    yield number, Done(item, job_id, found, kind)

    # From the items to Redis

    async def _read(self) -> None:
        items = _each(self._items)
        number = 0
        while True:
            if self._held >= self._window:
                self._has_room.clear()
                await self._has_room.wait()
            try:
                item = await anext(items)
            except StopAsyncIteration:
                break
            try:
                job = self._prepared(item)
            except SubmissionRefused as error:
                error.index = number
                raise
            self._held += 1
            self._waiting[job.id].append((number, item))
            self._inbox.append((number, job))
            self._arrived.set()
            number += 1
            if number % _TURN == 0:
                await asyncio.sleep(0)
        self._is_read = True
        self._arrived.set()

    async def _send(self) -> None:
        while not (self._is_read and not self._inbox):
            await self._arrived.wait()
            self._arrived.clear()
            if not self._inbox:
                continue
            batch, self._inbox = self._inbox, []
            try:
                # They can be sent again, whatever was stored of them: their ids stay.
                handles = await Patience(None).through(partial(self._submit, [job for _, job in batch]), "a map")
            except SubmissionRefused as error:
                error.index = batch[error.index][0]
                raise
            for (_, job), handle in zip(batch, handles, strict=True):
                if handle.id != job.id:  # it is unique, and another job is there
                    self._waiting[handle.id] += self._waiting.pop(job.id)
            self._ends.add(handle.id for handle in handles)
        self._ends.end()

    def _release(self) -> None:
        """An item is given: when half of the window is free, it is filled again."""
        self._held -= 1
        if self._held <= self._window // 2:
            self._has_room.set()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ends.end(error)

    def _prepared(self, item: T) -> Submission[R]:
        args, kwargs = _call_of(item)
        definition, options = self._task.definition, options_of(self._task)
        if self._id is None:
            return definition.prepare(args, kwargs, options)
        if callable(self._id):
            return definition.prepare(args, kwargs, options._replace(id=self._id(item)))
        try:
            function: Any = self._task
            bound = inspect.signature(function).bind(*args, **kwargs)
        except TypeError as error:
            definition.prepare(args, kwargs, options)  # says it better
            raise InvalidArguments(f"item {shown(item, 80)} does not fit task {self._task.name!r}: {error}") from error
        bound.apply_defaults()
        job_id = self._id.format_map(key_values("the id", self._id, bound.arguments))
        return definition.prepare(args, kwargs, options._replace(id=job_id))

    async def _cancel_rest(self) -> None:
        ids = list(self._waiting)
        for at in range(0, len(ids), _MOST_AT_ONCE):
            await asyncio.gather(*(self._session.store.cancel(job_id) for job_id in ids[at : at + _MOST_AT_ONCE]))


def _call_of(item: object) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """An item as arguments. A named tuple is one argument, as any other object is."""
    if isinstance(item, Mapping):
        return (), item
    return (item if type(item) is tuple else (item,)), {}


def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        return aiter(items)
    if not isinstance(items, Iterable):
        raise InvalidOption(f"the items to map are {shown(items, 80)}: give an iterable or an async iterable")
    return _given(items)


async def _given(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item
