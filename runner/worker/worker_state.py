"""WorkerState: a worker as its own process sees it, for probes, metrics and the command line."""

from dataclasses import dataclass
from typing import Any

from runner.clock import monotonic_s
from runner.settings import Settings
from runner.telemetry import Status, WorkerGauges
from runner.worker.actors import Actors


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as its own process sees it.

    `leader` is the id of the worker that led at this one's last election, empty before the first; `leads`: it is this one. `is_working`: it
    has enlisted and stood for election. `is_enlisted`: Redis may hold jobs for it, because it has enlisted and not signed off. `is_connected`:
    Redis has renewed its lease within the time of a lease. `is_stopping`: it drains, and claims no more jobs. `accepted` counts the outcomes
    that Redis has accepted of it, `undelivered` those that it has not confirmed. `delivering_s`: how long large results that are on their way
    to Redis may take at most. `stuck`: slots of handlers that go on though they were told to stop. `stalls`: how often its event loop was
    blocked. `defects`: errors of its own that it has met.
    """

    slots: int
    running: int
    leader: str
    accepted: int
    is_working: bool
    is_enlisted: bool
    is_stopped: bool
    delivering_s: float
    is_stopping: bool = False
    is_connected: bool = False
    leads: bool = False
    undelivered: int = 0
    stuck: int = 0
    stalls: int = 0
    defects: int = 0


def state_of(
    actors: Actors | None,
    settings: Settings,
    *,
    stalls: int,
    is_working: bool,
    is_enlisted: bool,
    is_stopped: bool,
    is_stopping: bool,
    rests: bool,
) -> WorkerState:
    """Of a worker with these actors, None before it has enlisted. rests: a test runs the jobs in its place."""
    said: dict[str, Any] = {
        "is_working": is_working,
        "is_enlisted": is_enlisted,
        "is_stopped": is_stopped,
        "is_stopping": is_stopping,
        "stalls": stalls,
    }
    if actors is None:
        return WorkerState(settings.concurrency, 0, "", 0, delivering_s=0.0, is_connected=rests, **said)
    return WorkerState(
        settings.concurrency,
        actors.running,
        actors.refill_loop.leader,
        actors.accepted,
        delivering_s=actors.completer.longest_s,
        is_connected=monotonic_s() - actors.renewed_s < settings.lease_s,
        leads=actors.refill_loop.leads,
        undelivered=actors.completer.undelivered,
        stuck=actors.stuck,
        defects=actors.defects,
        **said,
    )


def readiness_of(state: WorkerState) -> Status:
    """Whether jobs start there: Redis answers, its lifespan is entered, its tasks are in the catalog, and it does not drain."""
    if state.is_stopped:
        return Status(holds=False, why="the worker has stopped")
    if state.is_stopping:
        return Status(holds=False, why="the worker drains")
    if not state.is_working:
        return Status(holds=False, why="the worker starts: it waits for Redis, for its lifespan, or for the catalog")
    if not state.is_connected:
        return Status(holds=False, why="Redis has not renewed the lease of the worker in time")
    return Status(holds=True)


def gauges_of(state: WorkerState) -> WorkerGauges:
    """The same as metrics tell it."""
    return WorkerGauges(
        is_ready=readiness_of(state).holds,
        leads=state.leads,
        slots=state.slots,
        in_use=state.running,
        stuck=state.stuck,
        undelivered=state.undelivered,
        stalls=state.stalls,
        defects=state.defects,
    )
