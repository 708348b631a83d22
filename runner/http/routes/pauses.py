"""Pauses: what is paused of the queue, who did it, why and until when; and letting it go on."""

from typing import Annotated, Any, Literal

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from runner import ConfigurationError, Pausable, Pauses, PauseStatus, Scope
from runner.errors import Forbidden
from runner.http import routing
from runner.http.authorization import needs, principal_of
from runner.http.bodies import Body, body_of, no_body, parsed_body
from runner.http.dependencies import TheClient
from runner.http.forms import KEY_SAID, NAME_ON_A_LINE, SHORT_NAME, SPAN_S, OneLine
from runner.http.instants import Instant
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import Problem, responses
from runner.http.schemas import PauseNow

router = routing.group("pauses", "/v1", responses=responses("store-unavailable"))

MOST_KEY = Pauses.LONGEST_TEXT - 65
"""Characters of a value: its bucket is a line with the limit's name and a slash before it."""
What = Literal["queue", "task", "pool", "key"]


def _named(what: What, **name: Any) -> dict[str, Any]:
    return {"properties": {"what": {"const": what}, "name": name}, "required": ["what", "name"]}


_NAMES: list[Any] = [
    {"properties": {"what": {"const": "queue"}, "name": {"const": ""}}},
    _named("task", **NAME_ON_A_LINE["json_schema_extra"]),
    _named("pool", **SHORT_NAME["json_schema_extra"]),
    _named("key", **KEY_SAID["json_schema_extra"]),
]
"""What each is named by."""


class PausePart(Body):
    """What is to be paused, why, and until when; without an end until it is resumed."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _NAMES})

    what: What
    name: Annotated[
        str,
        Field(
            max_length=Pauses.LONGEST_TEXT, description="of the task or the pool; of a key its bucket, like tenant/t7; empty of the queue"
        ),
    ] = ""
    reason: Annotated[OneLine, Field(max_length=Pauses.LONGEST_TEXT, description="why; shown with every job that waits for it")] = ""
    duration: Annotated[Annotated[float, Field(**SPAN_S)] | None, Field(description="seconds; not together with until")] = None
    until: Annotated[
        Instant | None,
        Field(description="instant at which it is over, with a time zone"),
    ] = None


class PausesFound(BaseModel):
    """Everything that is paused, the queue first."""

    pauses: list[PauseNow]


class Resumed(BaseModel):
    """The pause that is over now; null: there was none."""

    resumed: PauseNow | None


@router.get("/pauses", dependencies=[needs(Scope.jobs_manage)], summary="What is paused")
async def pauses(request: Request, client: TheClient) -> PausesFound:
    """The queue, tasks, pools and values of keys of which nothing starts. A limit that is paused says so itself."""
    _refuse_tenants(request)
    return PausesFound(pauses=[PauseNow.of(one) for one in await client.pauses.list() if _may_see(request, one)])


@router.post(
    "/pauses",
    dependencies=[needs(Scope.jobs_manage)],
    summary="Let nothing more start of a part of the queue",
    responses=responses(*BODY_PROBLEMS, "validation", "unknown-task", "unknown-limit"),
    openapi_extra=body_of(PausePart),
)
async def pause_part(request: Request, client: TheClient) -> PauseNow:
    """Once this is answered nothing of it starts. Running jobs go on, jobs that wait are kept, and their status says why."""
    body = await parsed_body(request, PausePart)
    _check_right(request, body.what, body.name)
    try:
        return PauseNow.of(await client.pauses.pause(body.what, body.name, body.reason, duration=body.duration, until=body.until))
    except ConfigurationError as error:
        raise Problem("validation", str(error)) from None


@router.delete("/pauses/queue", dependencies=[needs(Scope.jobs_manage)], summary="Let the queue go on", responses=responses("validation"))
async def resume_queue(request: Request, client: TheClient) -> Resumed:
    """End the pause of the whole queue. Without a pause nothing changes."""
    return await _resumed(request, client, "queue", "")


@router.delete(
    "/pauses/task/{name:path}", dependencies=[needs(Scope.jobs_manage)], summary="Let a task go on", responses=responses("validation")
)
async def resume_task(
    name: Annotated[str, Path(max_length=Pauses.LONGEST_TEXT, description="the task's name", **NAME_ON_A_LINE)],
    request: Request,
    client: TheClient,
) -> Resumed:
    """End its pause: its jobs that wait go on at once, from their old places. Without a pause nothing changes."""
    return await _resumed(request, client, "task", name)


@router.delete(
    "/pauses/pool/{name}", dependencies=[needs(Scope.jobs_manage)], summary="Let a pool go on", responses=responses("validation")
)
async def resume_pool(
    name: Annotated[str, Path(description="the pool's name", **SHORT_NAME)], request: Request, client: TheClient
) -> Resumed:
    """End its pause: what waits goes on at once. Without a pause nothing changes."""
    return await _resumed(request, client, "pool", name)


@router.delete(
    "/pauses/key/{limit}/{key:path}",
    dependencies=[needs(Scope.jobs_manage)],
    summary="Let one value of a key go on",
    responses=responses("validation", "unknown-limit", at={"unknown-limit": 404}),
)
async def resume_key(
    limit: Annotated[str, Path(description="the limit's name", **SHORT_NAME)],
    key: Annotated[str, Path(max_length=MOST_KEY, description="the value, like t7", **NAME_ON_A_LINE)],
    request: Request,
    client: TheClient,
) -> Resumed:
    """End the pause of its bucket: what waits goes on at once. Without a pause nothing changes."""
    return await _resumed(request, client, "key", f"{limit}/{key}")


async def _resumed(request: Request, client: TheClient, what: What, name: str) -> Resumed:
    await no_body(request)
    _check_right(request, what, name)
    try:
        over = await client.pauses.resume(what, name)
    except ConfigurationError as error:
        raise Problem("validation", str(error)) from None
    return Resumed(resumed=None if over is None else PauseNow.of(over))


def _refuse_tenants(request: Request) -> None:
    principal = principal_of(request)
    if principal.tenant is not None:
        raise Forbidden(f"{principal.label} is of tenant {principal.tenant!r}, and a pause concerns all of them")


def _check_right(request: Request, what: str, name: str) -> None:
    """Raises `Forbidden` for who may not change this: a tenant, and a key for some tasks unless it is one of those."""
    _refuse_tenants(request)
    principal = principal_of(request)
    if principal.tasks and not (what == Pausable.task and principal.allows_task(name)):
        raise Forbidden(f"{principal.label} may pause {', '.join(principal.tasks)} only, not {what} {name!r:.80}")


def _may_see(request: Request, one: PauseStatus) -> bool:
    return one.what is not Pausable.task or principal_of(request).allows_task(one.name)
