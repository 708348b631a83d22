"""Listening: the verbs of a client for those who follow what happens, and who is at work."""

from collections.abc import AsyncGenerator

from runner.client.sessions import Sessions
from runner.jobs import JobEvent, check_event_id
from runner.store import PoolStatus, ServerFacts, WorkerStatus, server_facts
from runner.telemetry import QueuePage, require_writer, written


class Listening:
    """A part of `Client`."""

    @property
    def _sessions(self) -> Sessions:
        raise NotImplementedError

    def events(self, after: str | None = None) -> AsyncGenerator[JobEvent, None]:
        """The end of every job from now on, in order, half a second late at most; `after` an event's id, or "0" for all that are kept.

        They are read from the history of the queue, so who goes on with the id of the last one gets each once: `missed` says if some
        are no longer known. It never ends; leave it by `break`. Raises `InvalidOption`, `StoreUnavailable`: go on with the last id.
        """
        return self._sessions.here.events.after(after if after is None else check_event_id(after))

    async def latest_event(self) -> str:
        """The id of the latest event: what comes from now on is after it. Raises `StoreUnavailable`."""
        return await self._sessions.here.events.latest()

    async def metrics(self) -> tuple[bytes, str]:
        """The figures of the queue as Prometheus reads them, and the type of that text. All who ask within a second share one reading.

        Raises `MissingExtra` without the extra `metrics`, `StoreUnavailable`.
        """
        require_writer()
        return written(QueuePage(self._sessions.queue, await self._sessions.here.figures.get()))

    async def workers(self) -> list[WorkerStatus]:
        """The workers that hold a lease."""
        return await self._sessions.here.store.workers()

    async def server(self) -> ServerFacts:
        """The server of the queue: which it is, its memory and what it does once that is full. Raises `StoreUnavailable`."""
        return await server_facts(self._sessions.here.store)

    async def pools(self) -> list[PoolStatus]:
        """The pools of the queue, the default one first: what is in them, and how many workers read them."""
        return await self._sessions.here.store.pools()
