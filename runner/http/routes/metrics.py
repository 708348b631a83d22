"""Metrics: the figures of the queue as Prometheus reads them."""

from fastapi import Response
from fastapi.responses import PlainTextResponse

from runner import Scope
from runner.errors import MissingExtra
from runner.http import routing
from runner.http.authorization import needs
from runner.http.dependencies import TheClient
from runner.http.problems import Problem, responses

router = routing.group("metrics")


@router.get(
    "/metrics",
    dependencies=[needs(Scope.stats_read)],
    summary="The figures of the queue for Prometheus",
    response_class=PlainTextResponse,
    responses=responses("missing-extra", "store-unavailable"),
)
async def metrics(client: TheClient) -> Response:
    """Jobs by state and reason, workers, pools and limits, as text. All who ask within a second share one reading of Redis."""
    try:
        body, content_type = await client.metrics()
    except MissingExtra as error:
        raise Problem("missing-extra", str(error)) from None
    return Response(body, media_type=content_type)
