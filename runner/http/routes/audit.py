"""The audit: who changed what, and who was refused."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from runner import ConfigurationError, Scope
from runner.http import routing
from runner.http.authorization import needs
from runner.http.dependencies import TheClient
from runner.http.forms import LINE_ID, Unset
from runner.http.instants import utc
from runner.http.problems import Problem, responses

MOST_LINES = 1000
MOST_TARGET = 300

router = routing.group("audit", "/v1")


class Line(BaseModel):
    """One line of the audit."""

    id: Annotated[str, Field(description="orders the lines; give the last as `after` to read on")]
    at: Annotated[datetime, Field(description="by Redis's clock")]
    by: Annotated[str, Field(description="a key with its id and name, or a user and the machine")]
    address: Annotated[str, Field(description="of an act over HTTP")]
    request: Annotated[str, Field(description="its X-Request-Id")]
    action: str
    target: str
    before: str
    after: str
    reason: Annotated[str, Field(description="what was given as one")]
    outcome: Annotated[str, Field(description="what it came to, of what takes longer than a moment")]
    door: Annotated[str, Field(description="the way by which it came: cli, http, python or leader")]


class Lines(BaseModel):
    """Some lines, the earliest first."""

    lines: list[Line]


@router.get(
    "/audit",
    dependencies=[needs(Scope.audit_read)],
    summary="Who changed what",
    responses=responses("validation", "store-unavailable"),
)
async def audit(
    client: TheClient,
    since: Annotated[str | Unset, Query(max_length=40, description='only the last of it: seconds, or like "1h"')] = None,
    after: Annotated[str, Query(max_length=50, description="only what comes after the line of this id", **LINE_ID)] = "",
    target: Annotated[str, Query(max_length=MOST_TARGET, description="only what is about it, like job o-17, or o-17 alone")] = "",
    most: Annotated[int, Query(ge=1, le=MOST_LINES, description="lines of the answer")] = 100,
) -> Lines:
    """Changes of limits, jobs, tasks and keys, what the leader did by policy, and how often requests were refused by address and minute."""
    try:
        lines = await client.audit(since=since, after=after, most=most, target=target)
    except ConfigurationError as error:
        raise Problem("validation", str(error)) from None
    return Lines(lines=[Line(**line._asdict() | {"at": utc(line.at)}) for line in lines])
