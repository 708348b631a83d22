"""Lines: who waits at a limit, in the order in which they are served, where, and what happened there."""

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import Field

from runner import Scope, SpentBy
from runner.http import routing
from runner.http.authorization import needs, principal_of
from runner.http.dependencies import TheClient
from runner.http.forms import BUCKET_SAID, NAME, OneLine, Unset
from runner.http.limit_history import GRIDS, LimitHistory, Range, columns_of
from runner.http.limit_in_path import of_named_limit
from runner.http.problems import Problem, responses
from runner.http.spending_schemas import Budget, Spending
from runner.http.waiting_schemas import BucketPage, Line

router = routing.group("lines", "/v1")

Name = Annotated[str, Path(description="the limit's name", **NAME)]
_PROBLEMS = responses("validation", "store-unavailable", at={"unknown-limit": 404})


@router.get("/limits/{name}/waiting", dependencies=[needs(Scope.jobs_read)], summary="Who waits at a limit", responses=_PROBLEMS)
async def waiting(
    name: Name,
    client: TheClient,
    bucket: Annotated[
        Annotated[str, Field(max_length=500, **BUCKET_SAID)] | Unset,
        Query(description='of a limit with a key: "tenant/t7"; the one where most jobs wait unless it is said'),
    ] = None,
    after: Annotated[int, Query(ge=0, le=1_000, description="the place after which to begin")] = 0,
    count: Annotated[int, Query(ge=1, le=500, description="jobs at most")] = 100,
) -> Line:
    """Jobs in line, in the order in which they are served as things stand, up to place 1,000, each with when it starts."""
    if bucket is not None and bucket.partition("/")[0] != name:
        raise Problem("validation", f"bucket {bucket!r:.80} is not one of limit {name!r:.80}: write {name}/KEY, or leave it out")
    return Line.of(await of_named_limit(client.waiting_line(bucket or name, after=after, most=count)))


@router.get(
    "/limits/{name}/buckets", dependencies=[needs(Scope.limits_read)], summary="Buckets of a limit at which jobs wait", responses=_PROBLEMS
)
async def buckets(
    name: Name,
    client: TheClient,
    find: Annotated[Annotated[str, Field(max_length=100)], Query(description="how the key begins")] = "",
    cursor: Annotated[Annotated[OneLine, Field(max_length=200)] | Unset, Query(description="`next` of the page before")] = None,
    most: Annotated[int, Query(ge=1, le=50, description="buckets at most")] = 50,
) -> BucketPage:
    """Those with most jobs first; the pages after that, and those of a search, come by name. Of very many buckets some are counted."""
    return BucketPage.of(await of_named_limit(client.waiting_buckets(name, find=find, cursor=cursor, most=most)))


@router.get(
    "/limits/{name}/history", dependencies=[needs(Scope.stats_read)], summary="What happened at a limit, as columns", responses=_PROBLEMS
)
async def limit_history(
    name: Name,
    request: Request,
    client: TheClient,
    span: Annotated[Range, Query(alias="range", description="an hour or a day by the minute, or thirty days by the hour")] = Range.hour,
) -> LimitHistory:
    """A number for each step, the oldest first, as charts want it; what operators did is marked for keys with the right `audit:read`."""
    status, grid = await of_named_limit(client.control.show(name)), GRIDS[span]
    series, queue = await client.history(f"l:{name}", "q", step=grid.step, since=grid.span_s)
    lines = []
    if Scope.audit_read in principal_of(request).scopes:
        for target in (f"limit {name}", f"bucket {name}"):
            lines += await client.audit(since=grid.span_s, target=target)
    now_s = (await client.overview()).at.timestamp()
    return columns_of(grid, now_s, status.policy, series.rows, queue.rows, sorted(lines, key=lambda line: line.at))


@router.get(
    "/limits/{name}/spent",
    dependencies=[needs(Scope.stats_read)],
    summary="What was spent of a budget, by task, key or day",
    responses=_PROBLEMS,
)
async def spent(
    name: Name,
    client: TheClient,
    by: Annotated[SpentBy, Query(description="what each row is about")] = SpentBy.task,
    since: Annotated[Annotated[str, Field(max_length=40)], Query(description='seconds, or like "30d", up to 62 days; days of UTC')] = "30d",
) -> Spending:
    """Of a `Quota` with a unit. What was settled counts on the day of the start; keys beyond a thousand in a day are one row without a name."""
    return Spending.of(await of_named_limit(client.spent(name, by=by, since=since)))


@router.get(
    "/limits/{name}/budget", dependencies=[needs(Scope.stats_read)], summary="When a budget ends at the present pace", responses=_PROBLEMS
)
async def budget(name: Name, client: TheClient) -> Budget | None:
    """Of a `Quota` with a unit and without a key; null while it is paused or frozen."""
    pace = await of_named_limit(client.budget(name))
    return None if pace is None else Budget.of(pace)
