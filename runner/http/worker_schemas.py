"""Workers, pools and the server over HTTP as pydantic models, from which OpenAPI is made."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from runner import PoolStatus, WorkerStatus
from runner.http.instants import utc


class WorkerProcess(BaseModel):
    """A worker that holds a lease."""

    id: str
    host: str | None = None
    pid: int | None = None
    slots: Annotated[int | None, Field(description="jobs it runs at once")] = None
    children: Annotated[int, Field(description="jobs it runs in child processes besides")] = 0
    stuck: Annotated[int, Field(description="slots held by handlers that should have stopped")] = 0
    defects: Annotated[int, Field(description="errors of its own that it has met; its log has them, as CRITICAL lines")] = 0
    tasks: list[str] = []
    pools: Annotated[list[str], Field(description="whose jobs it runs")] = ["default"]
    leader: Annotated[bool, Field(description="it runs the refill loop")] = False
    python: str | None = None
    version: Annotated[str | None, Field(description="of the library")] = None
    enlisted_at: Annotated[datetime | None, Field(description="when it came, or came again after the loss of its lease")] = None
    renewed_at: Annotated[datetime | None, Field(description="when it has last renewed its lease, and said the three numbers below")] = None
    busy: Annotated[int | None, Field(description="attempts that ran then")] = None
    stall_ms: Annotated[int | None, Field(description="how long its event loop stood still at most since the renewal before")] = None
    memory_bytes: Annotated[int | None, Field(description="of its process, in RAM; null where the system does not tell")] = None
    format: Annotated[int | None, Field(description="the version of the queue's data that it writes")] = None

    @classmethod
    def of(cls, worker: WorkerStatus) -> Self:
        return cls(**{**asdict(worker), "enlisted_at": utc(worker.enlisted_at), "renewed_at": utc(worker.renewed_at)})


class Workers(BaseModel):
    """Every worker of the queue."""

    workers: list[WorkerProcess]


class Pool(BaseModel):
    """A pool of the queue. Jobs that wait for tokens are in the lines of their limits, whatever their pool."""

    name: str
    ready: Annotated[int, Field(description="jobs that no worker has read yet")]
    running: Annotated[int, Field(description="jobs that workers hold")]
    waiting: Annotated[int, Field(description="jobs that wait for a free slot, without keeping tokens from others")]
    lines: Annotated[int, Field(description="lines they wait in")]
    readers: Annotated[int, Field(description="live workers that read it")]
    slots: Annotated[
        int, Field(description="slots of these workers, for all the pools that they read; child processes, for a pool like default.process")
    ]
    used_at: Annotated[datetime | None, Field(description="when a worker or a job last came; null: the default pool")]

    @classmethod
    def of(cls, pool: PoolStatus) -> Self:
        return cls(**{**asdict(pool), "used_at": utc(pool.used_at)})


class Pools(BaseModel):
    """Every pool of the queue, the default one first."""

    pools: list[Pool]


class Server(BaseModel):
    """The server of the queue, with all that it has. What is null it does not say, or not to the user of the queue."""

    name: Annotated[str | None, Field(description="redis or valkey")]
    version: str | None
    up_s: int | None
    clients: Annotated[int | None, Field(description="connections to it")]
    memory_bytes: int | None
    memory_max_bytes: Annotated[int | None, Field(description="its maxmemory; 0: none")]
    memory_policy: Annotated[
        str | None, Field(description="what it does once that is full; only noeviction keeps every job and every limit")
    ]
