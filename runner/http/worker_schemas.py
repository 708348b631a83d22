"""Workers and pools over HTTP as pydantic models, from which OpenAPI is made."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from runner import PoolStatus


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
    format: Annotated[int | None, Field(description="the version of the queue's data that it writes")] = None


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
        used_at = None if pool.used_at is None else datetime.fromtimestamp(pool.used_at, UTC)
        return cls(**{**asdict(pool), "used_at": used_at})


class Pools(BaseModel):
    """Every pool of the queue, the default one first."""

    pools: list[Pool]
