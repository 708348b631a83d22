"""LargeOutcomes: the lane of outcomes that take long to send. One goes at a time, and none of them holds up a small one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from runner.clock import monotonic_s
from runner.errors import ResultUndeliverable
from runner.jobs import Outcome
from runner.store import FinishAnswers
from runner.worker.redis_pause import RETRY_S

_MOST_TRIES = 5
_LEAST_PATIENCE_S = 300.0
"""So often and for so long one is sent in vain, while small ones arrive, before it is given up."""

Send = Callable[[list[Outcome]], Awaitable[FinishAnswers | str | None]]
Settle = Callable[[Outcome, FinishAnswers | str, int], None]
GiveUp = Callable[[Outcome, ResultUndeliverable], None]
LongestS = Callable[[Outcome], float]


class _Parcel:
    """One outcome, how often it was sent in vain, and since when."""

    __slots__ = ("outcome", "since_s", "tries")

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.tries = 0
        self.since_s = 0.0


class LargeOutcomes:
    """Sends what the `Completer` gives it, by the completer's own means: `send` one, `settle` the answer, `give_up` one.

    `takes_s`: how long it takes to send one at most.
    """

    def __init__(self, send: Send, settle: Settle, give_up: GiveUp, takes_s: LongestS) -> None:
        self._send = send
        self._settle = settle
        self._give_up = give_up
        self._takes_s = takes_s
        self._parcels: deque[_Parcel] = deque()
        self._added = asyncio.Event()
        self._small_delivered_s = float("-inf")

    @property
    def longest_s(self) -> float:
        """How long it takes to send all of them once, at most. Another thread may ask."""
        return sum(self._takes_s(parcel.outcome) for parcel in tuple(self._parcels))

    def add(self, outcome: Outcome) -> None:
        """Send it after those that were added before."""
        self._parcels.append(_Parcel(outcome))
        self._added.set()

    def note_small_delivered(self) -> None:
        """Redis takes outcomes now, so one that is not taken is too large for the way there."""
        self._small_delivered_s = monotonic_s()

    async def run(self) -> None:
        """Send until cancelled; it may be run again then."""
        self._added.set()
        while True:
            await self._added.wait()
            self._added.clear()
            while self._parcels:
                await self._send_next()

    async def _send_next(self) -> None:
        parcel = self._parcels[0]
        begun_s = monotonic_s()
        answers = await self._send([parcel.outcome])
        self._parcels.popleft()
        if answers is not None:
            self._settle(parcel.outcome, answers, 0)
            return
        if not parcel.tries:
            parcel.since_s = begun_s
        parcel.tries += 1
        if self._is_hopeless(parcel):
            size, took_s = len(parcel.outcome.payload), max(monotonic_s() - begun_s, 0.001)
            text = (
                f"its result of {size} bytes was sent {parcel.tries} times in vain, the last time for {took_s:.1f} s:"
                f" the way to Redis carries less than {size / took_s / 1000:.0f} kB/s; store it elsewhere and return where"
            )
            self._give_up(parcel.outcome, ResultUndeliverable(text))
            return
        self._parcels.append(parcel)
        await asyncio.sleep(RETRY_S)

    def _is_hopeless(self, parcel: _Parcel) -> bool:
        has_waited = parcel.tries >= _MOST_TRIES and monotonic_s() - parcel.since_s >= _LEAST_PATIENCE_S
        return has_waited and self._small_delivered_s > parcel.since_s
