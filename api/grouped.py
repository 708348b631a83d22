"""Grouped: what is asked while a call to Redis is under way is sent together in the next one. Nothing waits for company."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from runner import StoreUnavailable

_MOST_BYTES = 1024 * 1024

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Grouped(Generic[Question, Answer]):
    """One call at a time, of as many questions as are there but `most`: a quarter of the work for each when many come at once.

    `call` answers in the order of its questions, with an exception where one has none. `size_of` is the bytes of one: a call has
    1 MB of them, if it is not a single one.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        *,
        most: int,
        size_of: Callable[[Question], int] = lambda _: 0,
    ) -> None:
        self._call = call
        self._most = most
        self._size_of = size_of
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer to one question. Raises what stands in its place, or what the whole call has raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all(), name="grouped")
        return await answer

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._sending is not None:
            await self._sending

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send(self._next_group())
        finally:
            self._sending = None

    def _next_group(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        count = size = 0
        for question, _ in self._waiting[: self._most]:
            size += self._size_of(question)
            if count and size > _MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _send(self, group: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._call([question for question, _ in group])
        except StoreUnavailable as error:
            # Those behind this group would wait for a time-out of their own, one group after the other.
            behind, self._waiting = self._waiting, []
            _fail(group + behind, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody in the group must learn of it
            _fail(group, error)
        else:
            for (_, future), answer in zip(group, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


def _fail(group: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
