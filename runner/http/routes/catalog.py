"""The tasks, the workers, the pools and the server of a queue."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Path

from runner import Scope
from runner.errors import UnknownTask
from runner.http import routing
from runner.http.authorization import needs
from runner.http.dependencies import TheClient
from runner.http.forms import NAME
from runner.http.problems import Problem, responses
from runner.http.schemas import Task, Tasks
from runner.http.worker_schemas import Pool, Pools, Server, WorkerProcess, Workers

router = routing.group("queue", "/v1", responses=responses("store-unavailable"))


@router.get("/tasks", dependencies=[needs(Scope.jobs_read)], summary="The tasks that can be submitted")
async def tasks(client: TheClient) -> Tasks:
    """Every task that is published, with the schema of its arguments, and whether a live worker runs it."""
    return Tasks(tasks=[Task.of(task) for task in await client.tasks()])


@router.delete(
    "/tasks/{name:path}",
    dependencies=[needs(Scope.tasks_write)],
    summary="Remove a task",
    responses=responses("unknown-task", "task-served", at={"unknown-task": 404}),
)
async def remove_task(name: Annotated[str, Path(description="the task's name", **NAME)], client: TheClient) -> Task:
    """Remove a task that no live worker serves, so that nobody submits it any more. Its jobs stay, and can be cancelled."""
    try:
        return Task.of(await client.remove_task(name))
    except UnknownTask as error:
        raise Problem("unknown-task", str(error), status=404) from None


@router.get("/workers", dependencies=[needs(Scope.workers_read)], summary="The workers")
async def workers(client: TheClient) -> Workers:
    """The workers that hold a lease."""
    return Workers(workers=[WorkerProcess.of(worker) for worker in await client.workers()])


@router.get("/server", dependencies=[needs(Scope.workers_read)], summary="The server of the queue")
async def server(client: TheClient) -> Server:
    """Which Redis or Valkey it is, its memory, and what it does once that is full."""
    return Server(**asdict(await client.server()))


@router.get("/pools", dependencies=[needs(Scope.workers_read)], summary="The pools")
async def pools(client: TheClient) -> Pools:
    """The pools of the queue, the default one first: the jobs that are ready, run and wait for a free slot, and how many workers read each."""
    return Pools(pools=[Pool.of(pool) for pool in await client.pools()])
