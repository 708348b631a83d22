"""Pauses: stops a queue, a task, a pool or one value of a key while everything runs, and lets it go on. Jobs are kept, never dropped."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from runner.client.blocking import Blocking, through
from runner.client.control import checked_bucket
from runner.client.reasons import LONGEST_REASON, checked_reason
from runner.client.said_times import seconds_said
from runner.clock import microseconds
from runner.errors import ConfigurationError, UnknownTask
from runner.jobs import Pausable, PausableName, PauseStatus
from runner.names import unknown_name, wrong_pool
from runner.plain_text import is_line
from runner.ranges import checked
from runner.store import JobStore, PauseRefusal

_MOST = 1_000


class Pauses:
    """What is paused of a queue. Once a pause has answered nothing of it starts; jobs that run go on, and what waits says why.

    what: "queue"; "task" and "pool" with their name; "key" with the bucket of one value of a limit's key, like "tenant/t7".
    """

    LONGEST_TEXT = LONGEST_REASON
    """Most characters of a reason."""

    def __init__(self, store_here: Callable[[], JobStore]) -> None:
        self._store_here = store_here

    @property
    def _store(self) -> JobStore:
        """The store of the running event loop."""
        return self._store_here()

    async def pause(
        self, what: PausableName, name: str = "", reason: str = "", *, duration: object = None, until: datetime | None = None
    ) -> PauseStatus:
        """Pause this until somebody resumes it, for `duration` (seconds, or "1h"), or until an instant. What is paused gets a new reason and end.

        `unaware_workers` of the answer are live workers of versions that do not know of pauses.
        Raises `UnknownTask`, `UnknownLimit`, and `ConfigurationError` for what cannot be paused and for an impossible end.
        """
        kind, end_us, said = pausable(what, name), end_of(duration, until), checked_reason(reason)
        paused = await self._store.set_pause(kind, await self._known(kind, name), said, end_us)
        if paused is PauseRefusal.past:
            raise ConfigurationError(f"the pause would end at {until}, which is over by Redis's clock: give an instant to come")
        if paused is PauseRefusal.far:
            raise ConfigurationError(f"the pause would end at {until}: give an instant at most 366 days ahead, or none")
        if not isinstance(paused, PauseStatus):
            raise ConfigurationError(f"queue {self._store.keys.queue!r} has {_MOST} pauses, and cannot have more: resume some first")
        return paused

    async def resume(self, what: PausableName, name: str = "") -> PauseStatus | None:
        """Let this go on: waiting jobs start at once, those of a task from their old places. The pause that is over; None if there was none.

        Raises `ConfigurationError` for what cannot be paused.
        """
        kind = pausable(what, name)
        bucket = await checked_bucket(self._store, name) if kind is Pausable.key else name
        return await self._store.end_pause(kind, bucket)

    async def list(self) -> list[PauseStatus]:
        """Everything that is paused, the queue first."""
        return await self._store.list_pauses()

    async def _known(self, what: Pausable, name: str) -> str:
        """The name as the scripts spell it. Raises `UnknownTask`, `UnknownLimit`."""
        if what is Pausable.key:
            return await checked_bucket(self._store, name)
        if what is Pausable.task:
            tasks = [task.name for task in await self._store.tasks()]
            if name not in tasks:
                raise UnknownTask(unknown_name(f"queue {self._store.keys.queue!r}", "task", name, tasks))
        return name


class BlockingPauses(Blocking):
    """A `Pauses` for code without an event loop."""

    __slots__ = ()

    pause = through(Pauses.pause)
    resume = through(Pauses.resume)
    list = through(Pauses.list)


def pausable(what: str, name: str) -> Pausable:
    """What is meant. Raises `ConfigurationError` for what cannot be paused."""
    if what not in set(Pausable):
        raise ConfigurationError(unknown_name("a pause", "kind", what, [kind.value for kind in Pausable]))
    kind = Pausable(what)
    if kind is Pausable.queue:
        if name:
            raise ConfigurationError(f"the queue is paused as a whole: leave out the name {name!r:.80}")
    elif not is_line(name, LONGEST_REASON, least=1):
        raise ConfigurationError(f"a pause of a {kind} needs its name, and {name!r:.80} is none")
    elif kind is Pausable.pool and (wrong := wrong_pool(name, has_jobs=True)) is not None:
        raise ConfigurationError(wrong)
    elif kind is Pausable.key and "/" not in name:
        raise ConfigurationError(
            f"{name!r:.80} is no value of a key: give LIMIT/VALUE, like tenant/t7; `limits pause {name:.60}` pauses a whole limit"
        )
    return kind


def end_of(duration: object, until: datetime | None) -> int:
    """When a pause is over, as the store takes it: µs from now, less than 0 for an instant, 0 for none. Raises `ConfigurationError`."""
    if duration is not None and until is not None:
        raise ConfigurationError("a pause has a duration or an instant until which it lasts: give one of them")
    if until is not None:
        given: Any = until
        if not isinstance(given, datetime) or given.tzinfo is None:
            raise ConfigurationError(f"until={given!r:.80} is no instant: give a datetime with a time zone")
        return -max(microseconds(until.timestamp()), 1)
    if duration is None:
        return 0
    return microseconds(checked("duration", seconds_said("the duration of a pause", duration), of="pause"))
