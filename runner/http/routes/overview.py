"""The overview: how the whole queue stands, in one answer of bounded size."""

from fastapi import Request

from runner import Scope
from runner.http import routing
from runner.http.authorization import needs, principal_of
from runner.http.dependencies import TheClient
from runner.http.overview_schemas import QueueOverview
from runner.http.problems import responses

router = routing.group("overview", "/v1")


@router.get(
    "/overview",
    dependencies=[needs(Scope.stats_read)],
    summary="How the queue stands",
    responses=responses("store-unavailable"),
)
async def overview(client: TheClient, request: Request) -> QueueOverview:
    """Jobs by state and reason, workers, and the limits with the longest lines: tokens, who waits and for how long, what is in force and who set it.

    Redis is read once a second at most, however many ask, in whatever process: the answer can be a second old. A key without some rights gets null
    in the place of what they are for; numbers of all jobs are for keys of all tasks.
    """
    return QueueOverview.of(await client.overview(), principal_of(request))
