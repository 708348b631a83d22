"""The tasks and the workers of a queue."""

from dataclasses import asdict

from runner.http import routing
from runner.http.dependencies import TheClient
from runner.http.problems import responses
from runner.http.schemas import Task, Tasks, WorkerProcess, Workers

router = routing.group("queue", "/v1", responses=responses("store-unavailable"))


@router.get("/tasks", summary="The tasks that can be submitted")
async def tasks(client: TheClient) -> Tasks:
    """Every task that a worker has published, with the schema of its arguments."""
    return Tasks(tasks=[Task.of(spec) for spec in await client.tasks()])


@router.get("/workers", summary="The workers")
async def workers(client: TheClient) -> Workers:
    """The workers that hold a lease."""
    return Workers(workers=[WorkerProcess(**asdict(worker)) for worker in await client.workers()])
