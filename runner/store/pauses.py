"""Pauses: what an operator has paused of a queue, and what workers wait for meanwhile. One method per script."""

import json
from contextlib import suppress
from enum import StrEnum
from typing import Any

from runner.clock import MICROSECONDS, milliseconds
from runner.connection import command, translated_errors
from runner.jobs import Pausable, PauseStatus
from runner.store.portions import MOST_LET_GO
from runner.store.queue import QueueStore
from runner.store.text import decoded


class PauseRefusal(StrEnum):
    """Why nothing was paused."""

    full = "full"
    """There are as many pauses as there may be."""
    past = "past"
    """The instant until which it was to be paused has passed."""
    far = "far"
    """It is more than 366 days ahead."""


class Pauses(QueueStore):
    """The role of an operator who pauses a queue or a part of it, of workers that wait for the end, and of the leader that sees to it."""

    async def set_pause(self, what: Pausable, name: str, reason: str, end_us: int) -> PauseStatus | PauseRefusal:
        """Pause this. end_us: µs from now, an instant if it is negative, 0 until it is resumed."""
        answer = await self._run("set_pause", what=what.value, name=name, end_us=end_us, reason=reason)
        if len(answer) == 1:
            return PauseRefusal(decoded(answer[0]))
        return PauseStatus.of(what, name, json.loads(answer[0]), int(answer[1]))

    async def end_pause(self, what: Pausable, name: str) -> PauseStatus | None:
        """Let this go on; the pause that is over now, None if there was none."""
        record = await self._run("end_pause", what=what.value, name=name, budget=MOST_LET_GO)
        return None if record is None else PauseStatus.of(what, name, json.loads(record))

    async def list_pauses(self) -> list[PauseStatus]:
        """Everything that is paused: the queue, then tasks, pools and keys by name. One whose record was damaged by hand is left out."""
        found = []
        for what, name, record in await self._run("list_pauses"):
            with suppress(ValueError, KeyError, TypeError):
                found.append(PauseStatus.of(decoded(what), decoded(name), json.loads(record)))
        order = list(Pausable)
        return sorted(found, key=lambda pause: (order.index(pause.what), pause.name))

    async def unaware_workers(self) -> list[str]:
        """The ids of live workers whose version does not know of pauses."""
        with translated_errors():
            ids = [decoded(name) for name in await command(self.redis, "ZRANGE", self.keys.workers, 0, -1)]
            details = [await command(self.redis, "HGET", self.keys.worker(worker), "details") for worker in ids]
        return [worker for worker, known in zip(ids, details, strict=True) if known and not _knows_of_pauses(known)]

    async def unpause(self) -> int:
        """What follows when a pause is over: one page of it. µs until there is more to do: 0 at once, -1 at no known instant."""
        _, next_us = await self._run("unpause", budget=MOST_LET_GO)
        return int(next_us)

    async def wait_for_change(self, after: bytes, timeout_s: float) -> None:
        """Until something is paused or resumed after this entry of `changes`, `timeout_s` at most."""
        with translated_errors():
            await command(
                *(self._blocking, "XREAD", "COUNT", 1, "BLOCK", max(milliseconds(timeout_s), 1), "STREAMS", self.keys.changes, after)
            )


def _knows_of_pauses(details: bytes) -> bool:
    """Whether a worker that says this of itself looks at pauses."""
    try:
        return "pauses" in json.loads(details).get("honours", ())
    except (AttributeError, TypeError, ValueError):
        return False


def pause_of(parts: list[Any]) -> PauseStatus | None:
    """The pause that keeps a job from starting, as get.lua tells it: what, name, record. None: it is over, and the job goes on soon."""
    what, name, record = map(decoded, parts)
    with suppress(ValueError, KeyError, TypeError):
        return PauseStatus.of(what, name, json.loads(record))
    return None


def left_s(left_us: int, longest_s: float) -> float:
    """Seconds that a worker waits for a change: until the pause is over if that is known, `longest_s` at most."""
    return longest_s if left_us < 0 else min(left_us / MICROSECONDS, longest_s)
