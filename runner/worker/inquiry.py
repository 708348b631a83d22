"""Inquiry: asks Redis once a second for what hooks are to be told of, and at once again while there is more. What is refused ends no worker."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from runner.clock import monotonic_s
from runner.errors import StoreUnavailable
from runner.log_throttle import A_MINUTE_S, LogThrottle

_PERIOD_S = 1.0


T = TypeVar("T")


class Inquiry(ABC, Generic[T]):
    """One question."""

    def __init__(self) -> None:
        self._refused = LogThrottle(A_MINUTE_S)

    async def _ask(self) -> None:
        """Ask until cancelled."""
        while True:
            if not await self._answered():
                await asyncio.sleep(_PERIOD_S)

    async def _answered(self) -> bool:
        """Whether there was anything."""
        try:
            answer = await self._question()
        except StoreUnavailable:
            return False  # the completer says that Redis is away
        except Exception as error:  # noqa: BLE001 - what hooks are not told ends no worker
            if self._refused.is_due(monotonic_s()):
                self._log_refusal(error)
            return False
        await self._hear(answer)
        return bool(answer)

    @abstractmethod
    async def _question(self) -> Sequence[T]:
        """Ask once."""

    @abstractmethod
    async def _hear(self, answer: Sequence[T]) -> None:
        """Have hooks told of the answer, which may be empty."""

    @abstractmethod
    def _log_refusal(self, error: Exception) -> None: ...
