"""Events: what happens on a queue, for those who listen. It is read from what Redis keeps anyway, so nothing is written for it.

All listeners of an event loop look at the same time, and share the calls.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from runner.client.batcher import Batcher
from runner.client.lookups import Lookups
from runner.client.pulse import Pulse
from runner.jobs import JobEvent, JobStatus
from runner.store import Jobs

T = TypeVar("T")

LOOK_S = 0.5
"""The pause between two looks: events are told so late at most."""
MOST_EVENTS = 500
"""Events of one call: 50 kB."""


class Events:
    """The listeners of one session."""

    def __init__(self, store: Jobs, lookups: Lookups) -> None:
        self._store = store
        self._lookups = lookups
        self._pulse = Pulse(LOOK_S)
        self._pages = Batcher(self._page_each, fitting=len)

    async def now(self) -> str:
        """A place in the history that tells nothing of what is in it: just before now, by Redis's clock."""
        return await self._store.event_place()

    async def latest(self) -> str:
        """The id of the latest event."""
        return await self._store.latest_event()

    async def after(self, event_id: str | None) -> AsyncGenerator[JobEvent, None]:
        """Every event after the one with this id, from now on without one; it never ends. Raises `StoreUnavailable`."""
        place = await self.latest() if event_id is None else event_id
        events = await self._pages.ask(place)
        while True:
            for event in events:
                yield event
                place = event.id
            look = partial(self._pages.ask, place)
            events = await (look() if len(events) == MOST_EVENTS else self._next(look))

    async def changes(self, job_id: str) -> AsyncGenerator[JobStatus | None, None]:
        """A job as it is now, and whenever that has changed, without what it carries, until it has ended; None at last if it is unknown.

        Changes that follow each other between two looks are told as one. Raises `StoreUnavailable`.
        """
        told, look = None, partial(self._lookups.place, job_id)
        status = await look()
        while True:
            version = None if status is None else status.version
            if status is None or version != told:
                told = version
                yield status
            if status is None or status.state.is_final:
                return
            status = await self._next(look, job_id)

    async def _next(self, look: Callable[[], Awaitable[T]], *job_ids: str) -> T:
        """What is seen at the next look."""
        clock = self._store.clock
        if clock is not None:
            return await clock.look(look, job_ids)
        await self._pulse.beat()
        return await look()

    async def close(self) -> None:
        """Wait for the calls that are under way."""
        await self._pages.close()

    async def _page_each(self, places: Sequence[str]) -> list[list[JobEvent]]:
        """Those who have heard all so far are at the same place, and share one call."""
        pages = {place: await self._store.events(place, MOST_EVENTS) for place in dict.fromkeys(places)}
        return [pages[place] for place in places]
