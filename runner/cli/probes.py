"""The ports of a worker for probes and metrics, and that of a supervisor: opened before the work begins, closed after it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

from runner.client import Homes, Overlook, Runner, figures_of
from runner.connection import redis_url
from runner.errors import ConfigurationError, RunnerError
from runner.settings import Settings
from runner.store import JobStore
from runner.telemetry import (
    Answer,
    Figures,
    ProbeServer,
    QueuePage,
    SharedReading,
    Status,
    WorkerCounts,
    WorkerPage,
    require_writer,
    status_of,
    written,
)
from runner.worker import Worker, gauges_of, readiness_of

log = logging.getLogger("runner")

_AGAIN_S = 0.5
_ALIVE = Status(holds=True)
_MOST_PORT = 65_535


Told = Callable[[str, str, int], None]
"""Given "health" or "metrics", the address and the port, once it is open."""


class Ports(NamedTuple):
    """Where probes and metrics are asked for; None: not at all, 0: on a free port."""

    health: tuple[str, int] | None = None
    metrics: tuple[str, int] | None = None

    @classmethod
    def of(cls, settings: Settings, *, is_supervised: bool = False) -> "Ports":
        """As the settings say. A supervisor answers for the health of its workers."""
        health = None if settings.health_port is None or is_supervised else (settings.health_host, settings.health_port)
        return cls(health, None if settings.metrics_port is None else (settings.metrics_host, settings.metrics_port))


class MetricsSource:
    """What one worker shows: itself, and while it leads the queue too, so that one of all workers asks Redis."""

    def __init__(self, worker: Worker, runner: Runner) -> None:
        require_writer()
        self._worker = worker
        self._runner = runner
        self._counts = worker.counts = WorkerCounts(runner.tasks, runner.limits)
        self._store: JobStore | None = None
        self._overlook: Overlook | None = None
        self._homes: Homes | None = None
        self._figures: SharedReading[Figures] = SharedReading(self._read)

    async def page(self) -> Answer:
        """What /metrics answers."""
        state, queue = self._worker.state, self._runner.queue
        pages: list[WorkerPage | QueuePage] = [WorkerPage(queue, gauges_of(state), self._counts)]
        if state.leads:
            pages.append(QueuePage(queue, await self._figures_or_none()))
        body, content_type = written(*pages)
        return Answer(200, body, content_type)

    async def close(self) -> None:
        """Close the connection that the figures are read by."""
        await self._figures.close()
        if self._store is not None and self._overlook is not None:
            await self._overlook.close()
            await self._store.close()
        if self._homes is not None:
            await self._homes.close()

    async def _figures_or_none(self) -> Figures | None:
        try:
            return await self._figures.get()
        except RunnerError as error:
            log.info("the figures of the queue could not be read: %s", error)
            return None

    async def _read(self) -> Figures:
        if self._store is None or self._overlook is None:
            url, settings = redis_url(self._runner.settings), self._runner.settings
            self._store = JobStore(url, self._runner.queue, settings)
            self._overlook, self._homes = Overlook(self._store), Homes(url, settings)
        return await figures_of(self._store, self._overlook, self._homes)


@asynccontextmanager
async def answering(worker: Worker, runner: Runner, ports: Ports, told: Told, *, waits: bool) -> AsyncIterator[None]:
    """While entered, probes and scrapers are answered.

    waits: a port that is taken is tried again, as by the worker before which still drains. Raises `ConfigurationError`, `MissingExtra`.
    """
    health = {"/healthz": status_of(lambda: _ALIVE), "/readyz": status_of(lambda: readiness_of(worker.state))}
    source = None if ports.metrics is None else MetricsSource(worker, runner)
    servers: list[tuple[str, tuple[str, int], ProbeServer]] = []
    if source is not None and ports.metrics is not None:
        servers.append(("metrics", ports.metrics, ProbeServer({**health, "/metrics": source.page})))
    if ports.health is not None and (ports.health != ports.metrics or ports.health[1] == 0):
        servers.append(("health", ports.health, ProbeServer(health)))
    opening = [asyncio.create_task(_open(*server, told, waits=waits)) for server in servers]
    try:
        if not waits:
            await asyncio.gather(*opening)
        yield
    finally:
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for _, _, server in servers:
            await server.close()
        if source is not None:
            await source.close()


@asynccontextmanager
async def answering_for_all(ready: Callable[[], Status], settings: Settings, told: Told) -> AsyncIterator[None]:
    """The same for a supervisor: it lives, and its workers are ready. Raises `ConfigurationError`."""
    if settings.health_port is None:
        yield
        return
    server = ProbeServer({"/healthz": status_of(lambda: _ALIVE), "/readyz": status_of(ready)})
    await _open("health", (settings.health_host, settings.health_port), server, told, waits=False)
    try:
        yield
    finally:
        await server.close()


def port_of(first: int | None, place: int) -> int | None:
    """The metrics port of the worker in this place of a supervisor, from 1 on. Raises `ConfigurationError` beyond the last port."""
    if not first:
        return first
    port = first + place - 1
    if port > _MOST_PORT:
        raise ConfigurationError(
            f"worker {place} would have metrics port {port}: give a port from which on there are enough, up to {_MOST_PORT}"
        )
    return port


async def _open(name: str, place: tuple[str, int], server: ProbeServer, told: Told, *, waits: bool) -> None:
    start = partial(server.start, *place)
    has_told = False
    while waits:
        with suppress(ConfigurationError):
            await start()
            break
        if not has_told:
            log.info("port %d for %s is taken, and is tried again until it is free", place[1], name)
            has_told = True
        await asyncio.sleep(_AGAIN_S)
    else:
        await start()
    told(name, place[0], server.port)
