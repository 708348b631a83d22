"""Limits: as they stand, and changed, paused and frozen while everything runs. Every change answers with the limit as it then stands."""

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Path, Request

from runner import ConfigurationError, LimitStatus, UnknownLimit
from runner.http import routing
from runner.http.bodies import body_of, no_body, optional_body, parsed_body
from runner.http.dependencies import TheClient
from runner.http.limit_schemas import FreezeBody, Limit, LimitBody, Limits, PauseBody, ReleaseBody
from runner.http.problems import BODY_PROBLEMS, Problem, responses
from runner.http.validation_errors import Fault

router = routing.group("limits", "/v1")

Name = Annotated[str, Path(description="the limit's name")]


def _answers(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """What a route of one limit answers besides it; a name in the path that is not known is not found."""
    return responses(*dict.fromkeys(("validation", *kinds)), "store-unavailable", at={"unknown-limit": 404})


@router.get("/limits", summary="The limits as they stand", responses=responses("store-unavailable"))
async def limits(client: TheClient) -> Limits:
    """Every limit with the tokens its buckets hold now, the jobs that wait there, and when the next token lands."""
    return Limits(limits=[Limit.of(status) for status in await client.limits()])


@router.get("/limits/{name}", summary="One limit as it stands", responses=_answers())
async def limit(name: Name, client: TheClient) -> Limit:
    """What the code says of it, what overrides that, whether it is paused, and its buckets."""
    return await _changed(client.control.show(name))


@router.put(
    "/limits/{name}",
    summary="Put other numbers in force",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(LimitBody),
)
async def override(name: Name, request: Request, client: TheClient) -> Limit:
    """At once and for every worker; jobs that wait are timed anew. What was spent of the buckets stays spent."""
    body = await parsed_body(request, LimitBody)
    return await _changed(client.control.override(name, duration=body.duration, reason=body.reason, **body.numbers()))


@router.delete("/limits/{name}/override", summary="Go back to what the code says", responses=_answers())
async def restore(name: Name, client: TheClient) -> Limit:
    """End an override; without one nothing changes."""
    return await _changed(client.control.restore(name))


@router.post(
    "/limits/{name}/pause",
    summary="Let nothing more start",
    responses=_answers(*BODY_PROBLEMS),
    openapi_extra=body_of(PauseBody, required=False),
)
async def pause(name: Name, request: Request, client: TheClient) -> Limit:
    """What runs is not touched; what waits stays in line, and says why."""
    body = await optional_body(request, PauseBody)
    return await _changed(client.control.pause(name, body.reason))


@router.post("/limits/{name}/resume", summary="Let a paused limit go on", responses=_answers(*BODY_PROBLEMS))
async def resume(name: Name, request: Request, client: TheClient) -> Limit:
    """Those who wait start as their tokens allow; without a pause nothing changes."""
    await no_body(request)
    return await _changed(client.control.resume(name))


@router.post(
    "/limits/{name}/freeze",
    summary="Let nothing start for some seconds",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(FreezeBody),
)
async def freeze(name: Name, request: Request, client: TheClient) -> Limit:
    """Then one probe, then the normal rate. A shorter freeze never shortens a longer one."""
    body = await parsed_body(request, FreezeBody)
    return await _changed(client.control.freeze(_bucket(name, body), body.duration, body.reason))


@router.post(
    "/limits/{name}/release",
    summary="End a freeze before its time",
    responses=_answers(*BODY_PROBLEMS, "impossible-limit"),
    openapi_extra=body_of(ReleaseBody, required=False),
)
async def release(name: Name, request: Request, client: TheClient) -> Limit:
    """Of one bucket, or of all of them together if they were frozen so; without a freeze nothing changes."""
    body = await optional_body(request, ReleaseBody)
    return await _changed(client.control.release(_bucket(name, body)))


def _bucket(name: str, body: ReleaseBody) -> str:
    if body.bucket is not None and body.bucket.partition("/")[0] != name:
        detail = f"bucket {body.bucket!r} is not one of limit {name!r}: write {name}/KEY, or leave it out"
        raise Problem("validation", detail, faults=[Fault(pointer="#/bucket", detail=detail)])
    return body.bucket or name


async def _changed(change: Awaitable[LimitStatus]) -> Limit:
    """The limit as it stands after a change. Here its name is the path's, so one that is not known is not found."""
    try:
        return Limit.of(await change)
    except UnknownLimit as error:
        raise Problem("unknown-limit", str(error), status=404) from None
    except ConfigurationError as error:
        raise Problem("impossible-limit", str(error)) from None
