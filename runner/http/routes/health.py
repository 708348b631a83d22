"""Probes: whether this process lives, and whether it can serve."""

from runner.http import routing
from runner.http.dependencies import TheClient
from runner.http.problems import responses
from runner.http.schemas import Health

router = routing.group("health")


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Health:
    """Answers without asking Redis, because a restart of this process would not bring Redis back."""
    return Health()


@router.get("/readyz", summary="Whether the queue can be used", responses=responses("store-unavailable"))
async def readyz(client: TheClient) -> Health:
    """Runs a script in Redis, and answers 503 while that is not possible."""
    await client.check()
    return Health()
