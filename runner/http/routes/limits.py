"""Limits: their state, and the changes, pauses and freezes of a running queue. The answer to a change is the state after it."""

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import Field

from runner import ConfigurationError, Control, LimitStatus, Scope
from runner.errors import UnknownLimit
from runner.http import routing
from runner.http.authorization import needs, principal_of
from runner.http.bodies import body_of, no_body, optional_body, parsed_body
from runner.http.dependencies import TheClient, service_of
from runner.http.forms import SHORT_NAME, OneLine, Unset
from runner.http.limit_schemas import FreezeBody, Limit, LimitBody, Limits, PauseBody, ReleaseBody, ResetBody
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import Problem, responses
from runner.http.validation_errors import Fault

router = routing.group("limits", "/v1")

Name = Annotated[str, Path(description="the limit's name", **SHORT_NAME)]


def _answers(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The problems of a route of one limit. An unknown name in the path is answered 404."""
    return responses(*dict.fromkeys(("validation", *kinds)), "store-unavailable", at={"unknown-limit": 404})


@router.get(
    "/limits", dependencies=[needs(Scope.limits_read)], summary="The state of every limit", responses=responses("store-unavailable")
)
async def limits(
    request: Request,
    find: Annotated[Annotated[str, Field(max_length=64)], Query(description="only those whose name has this in it")] = "",
    cursor: Annotated[Annotated[OneLine, Field(max_length=64)] | Unset, Query(description="`next` of the page before")] = None,
    most: Annotated[Annotated[int, Field(ge=1, le=200)] | Unset, Query(description="limits of a page; all unless it is said")] = None,
) -> Limits:
    """Every limit with the tokens of its buckets now, the jobs that wait there, and when the next token lands; by name, or page by page."""
    found = [one for one in await service_of(request).client.limits() if find in one.name and (cursor is None or one.name > cursor)]
    page = found[:most]
    return Limits(limits=[Limit.of(status) for status in page], next=page[-1].name if len(page) < len(found) else None)


@router.get("/limits/{name}", dependencies=[needs(Scope.limits_read)], summary="The state of one limit", responses=_answers())
async def limit(name: Name, request: Request) -> Limit:
    """The numbers in the code, the numbers that override them, whether it is paused, and its buckets."""
    return await _seen(request, name, service_of(request).client.control.show(name))


@router.put(
    "/limits/{name}",
    dependencies=[needs(Scope.limits_write)],
    summary="Put other numbers in force",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(LimitBody),
)
async def override(name: Name, request: Request, client: TheClient) -> Limit:
    """They hold at once, for every worker, and give jobs that wait a new time. Tokens that were spent stay spent."""
    body = await parsed_body(request, LimitBody)
    return await _seen(
        request,
        name,
        client.control.override(name, duration=body.duration, reason=_said_by(request, body.reason), **body.numbers()),
    )


@router.delete(
    "/limits/{name}/override", dependencies=[needs(Scope.limits_write)], summary="Go back to the numbers in the code", responses=_answers()
)
async def restore(name: Name, request: Request, client: TheClient) -> Limit:
    """End an override. Without one nothing changes."""
    return await _seen(request, name, client.control.restore(name))


@router.post(
    "/limits/{name}/pause",
    dependencies=[needs(Scope.limits_write)],
    summary="Let nothing more start",
    responses=_answers(*BODY_PROBLEMS),
    openapi_extra=body_of(PauseBody, required=False),
)
async def pause(name: Name, request: Request, client: TheClient) -> Limit:
    """Running jobs go on. Jobs that wait stay in line, and their status says why."""
    body = await optional_body(request, PauseBody)
    return await _seen(request, name, client.control.pause(name, _said_by(request, body.reason)))


@router.post(
    "/limits/{name}/resume",
    dependencies=[needs(Scope.limits_write)],
    summary="Let a paused limit go on",
    responses=_answers(*BODY_PROBLEMS),
)
async def resume(name: Name, request: Request, client: TheClient) -> Limit:
    """Jobs that wait start as tokens allow. Without a pause nothing changes."""
    await no_body(request)
    return await _seen(request, name, client.control.resume(name))


@router.post(
    "/limits/{name}/freeze",
    dependencies=[needs(Scope.limits_write)],
    summary="Let nothing start for some seconds",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(FreezeBody),
)
async def freeze(name: Name, request: Request, client: TheClient) -> Limit:
    """Then one probe, then the normal rate. A shorter freeze never shortens a longer one."""
    body = await parsed_body(request, FreezeBody)
    return await _seen(request, name, client.control.freeze(_bucket(name, body), body.duration, _said_by(request, body.reason)))


@router.post(
    "/limits/{name}/release",
    dependencies=[needs(Scope.limits_write)],
    summary="End a freeze before its time",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(ReleaseBody, required=False),
)
async def release(name: Name, request: Request, client: TheClient) -> Limit:
    """The freeze of one bucket, or of all together if they were frozen together. Without a freeze nothing changes."""
    body = await optional_body(request, ReleaseBody)
    return await _seen(request, name, client.control.release(_bucket(name, body)))


@router.post(
    "/limits/{name}/reset",
    dependencies=[needs(Scope.limits_write)],
    summary="Forgive what was spent",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(ResetBody, required=False),
)
async def reset(name: Name, request: Request, client: TheClient) -> Limit:
    """Debts, windows and quotas begin anew, of one bucket or of all. What running jobs hold stays held; a freeze or a pause stays."""
    body = await optional_body(request, ResetBody)
    return await _seen(request, name, client.control.reset(_bucket(name, body), _said_by(request, body.reason)))


def _bucket(name: str, body: ReleaseBody) -> str:
    if body.bucket is not None and body.bucket.partition("/")[0] != name:
        detail = f"bucket {body.bucket!r} is not one of limit {name!r}: write {name}/KEY, or leave it out"
        raise Problem("validation", detail, faults=[Fault(pointer="#/bucket", detail=detail)])
    return body.bucket or name


async def _seen(request: Request, name: str, change: Awaitable[LimitStatus]) -> Limit:
    """The limit after a change, as the caller may see it. Its name comes from the path, so an unknown name is answered 404."""
    try:
        status = await change
    except UnknownLimit as error:
        raise Problem("unknown-limit", str(error), status=404) from None
    except ConfigurationError as error:
        raise Problem("impossible-limit", str(error)) from None
    if principal_of(request).tenant is not None:
        (status,) = [seen for seen in await service_of(request).client.limits() if seen.name == name]
    return Limit.of(status)


def _said_by(request: Request, reason: str) -> str:
    """The reason of a change, after who makes it: the word of the service, not of the caller."""
    label = principal_of(request).label
    said = f"{label}: {reason}" if label and reason else label or reason
    if len(said) > Control.LONGEST_TEXT:
        detail = f"with {label!r} before it the reason has {len(said)} characters, and may have {Control.LONGEST_TEXT}: shorten it"
        raise Problem("validation", detail, faults=[Fault(pointer="#/reason", detail=detail)])
    return said
