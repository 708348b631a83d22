"""Batcher: questions that come while a call to Redis is under way share the next call. A lone question goes at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from runner.errors import IncompatibleVersion, StoreUnavailable

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """One call at a time, of as many questions as are `fitting`: when many come at once, each costs a quarter of the work.

    `call` answers in the order of its questions, with an exception in the place of an answer where one is refused; it must be safe
    to repeat. `fitting` says how many of these questions, from the first on, go into one call; at least one.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        *,
        fitting: Callable[[Sequence[Question]], int],
    ) -> None:
        self._call = call
        self._fitting = fitting
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._is_asking = False
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer to one question. Raises the exception in its place, or the one that the whole call raised."""
        if self._is_asking:
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting.append((question, future))
            return await future
        self._is_asking = True
        try:
            (answer,) = await self._call([question])
        except StoreUnavailable as error:
            self._give_up(error)
            raise
        finally:
            if self._waiting:
                self._asking = asyncio.create_task(self._ask_all(), name="batcher")
            else:
                self._is_asking = False
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Wait for the calls that are under way."""
        if self._asking is not None:
            await self._asking

    async def _ask_all(self) -> None:
        """Runs in a task of its own: the cancellation of one caller must not end a call of the others."""
        try:
            while self._waiting:
                await self._ask(self._next_group())
        finally:
            self._is_asking, self._asking = False, None

    def _next_group(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        count = self._fitting([question for question, _ in self._waiting])
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _ask(self, group: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._call([question for question, _ in group])
        except StoreUnavailable as error:
            _fail(group, error)
            self._give_up(error)
        except Exception as error:  # noqa: BLE001 - the callers wait for it, whatever it is
            if len(group) == 1 or isinstance(error, IncompatibleVersion):
                _fail(group, error)
                return
            # One question may have made the call fail for all of them: each is asked again by itself.
            for one in group:
                await self._ask([one])
        else:
            for (_, future), answer in zip(group, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    def _give_up(self, error: StoreUnavailable) -> None:
        """Fail what still waits: one group after the other, the questions would each wait for a time-out of their own."""
        waiting, self._waiting = self._waiting, []
        _fail(waiting, error)


def _fail(group: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
