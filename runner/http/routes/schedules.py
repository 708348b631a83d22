"""Schedules: what runs by itself, and when; added, changed, paused, run by hand and removed. The answer to a change is the state after it."""

from contextlib import suppress
from typing import Annotated

from fastapi import Path, Query, Request

from runner import ScheduleStatus, Scope
from runner.errors import Forbidden, UnknownSchedule
from runner.http import routing
from runner.http.authorization import needs, principal_of
from runner.http.bodies import body_of, no_body, optional_body, parsed_body
from runner.http.dependencies import TheClient
from runner.http.forms import SHORT_NAME
from runner.http.instants import utc
from runner.http.problem_kinds import BODY_PROBLEMS
from runner.http.problems import responses
from runner.http.schedule_schemas import NamedScheduleBody, Schedule, ScheduleBody, SchedulePauseBody, Schedules, Triggered

router = routing.group("schedules", "/v1", responses=responses("store-unavailable"))

Name = Annotated[str, Path(description="the schedule's name", **SHORT_NAME)]
_OF_ONE = ("validation", "bad-schedule", "unknown-schedule")
_OF_A_BODY = (*BODY_PROBLEMS, *_OF_ONE, "schedule-conflict", "unknown-task", "unknown-limit", "incomplete-catalog", "exceeds-capacity")


MOST_COMING = 61
_MOST_FORETOLD = 30
"""Schedules whose coming instants are told, the soonest ones: each instant of a cron expression is some 30 us of work."""


@router.get("/schedules", dependencies=[needs(Scope.schedules_read)], summary="Every schedule")
async def schedules(
    request: Request,
    client: TheClient,
    coming: Annotated[int, Query(ge=0, le=MOST_COMING, description="so many of the next instants of each, of the 30 that run soonest")] = 0,
) -> Schedules:
    """When each runs next, what came of its last run, and how many of its instants were made, missed, skipped and refused."""
    found = [
        status for status in await client.schedules.list() if status.spec is None or principal_of(request).allows_task(status.spec.task)
    ]
    soonest = sorted((status for status in found if status.next_at is not None), key=lambda status: status.next_at or 0)[:_MOST_FORETOLD]
    foretold = {status.name: [utc(run.at) for run in status.coming(coming)] for status in soonest} if coming else {}
    return Schedules(schedules=[_seen(request, status).model_copy(update={"coming": foretold.get(status.name)}) for status in found])


@router.post(
    "/schedules",
    dependencies=[needs(Scope.schedules_write)],
    summary="Add a schedule",
    responses=responses(*_OF_A_BODY),
    openapi_extra=body_of(NamedScheduleBody),
)
async def add_schedule(request: Request, client: TheClient) -> Schedule:
    """Add it, or change the one of this name; the same again changes nothing."""
    body = await parsed_body(request, NamedScheduleBody)
    return await _put(request, client, body.name, body)


@router.get("/schedules/{name}", dependencies=[needs(Scope.schedules_read)], summary="One schedule", responses=responses(*_OF_ONE))
async def show_schedule(name: Name, request: Request, client: TheClient) -> Schedule:
    """How it stands."""
    return _seen(request, await _known(request, client, name))


@router.put(
    "/schedules/{name}",
    dependencies=[needs(Scope.schedules_write)],
    summary="Add or change a schedule",
    responses=responses(*_OF_A_BODY),
    openapi_extra=body_of(ScheduleBody),
)
async def put_schedule(name: Name, request: Request, client: TheClient) -> Schedule:
    """What has run does not run again, and a grid goes on where it was. One that code declares is changed there."""
    return await _put(request, client, name, await parsed_body(request, ScheduleBody))


@router.delete("/schedules/{name}", dependencies=[needs(Scope.schedules_write)], summary="Remove a schedule", responses=responses(*_OF_ONE))
async def remove_schedule(name: Name, request: Request, client: TheClient) -> Schedule:
    """Its jobs stay. The answer is how it stood. One that code declares comes back with its code: pause it."""
    await no_body(request)
    await _known(request, client, name)
    return _seen(request, await client.schedules.remove(name))


@router.post(
    "/schedules/{name}/pause",
    dependencies=[needs(Scope.schedules_write)],
    summary="Fire a schedule no more",
    responses=responses(*BODY_PROBLEMS, *_OF_ONE),
    openapi_extra=body_of(SchedulePauseBody, required=False),
)
async def pause_schedule(name: Name, request: Request, client: TheClient) -> Schedule:
    """The instants that pass meanwhile are not made up for. Jobs that were made go on."""
    body = await optional_body(request, SchedulePauseBody)
    await _known(request, client, name)
    return _seen(request, await client.schedules.pause(name, body.reason))


@router.post(
    "/schedules/{name}/resume",
    dependencies=[needs(Scope.schedules_write)],
    summary="Let a paused schedule go on",
    responses=responses(*BODY_PROBLEMS, *_OF_ONE),
)
async def resume_schedule(name: Name, request: Request, client: TheClient) -> Schedule:
    """It runs next at its next instant. Without a pause nothing changes."""
    await no_body(request)
    await _known(request, client, name)
    return _seen(request, await client.schedules.resume(name))


@router.post(
    "/schedules/{name}/trigger",
    dependencies=[needs(Scope.schedules_write)],
    summary="Run a schedule now",
    status_code=202,
    responses=responses(*BODY_PROBLEMS, *_OF_ONE, "unknown-task", "unknown-limit", "incomplete-catalog", "exceeds-capacity", "overloaded"),
)
async def trigger_schedule(name: Name, request: Request, client: TheClient) -> Triggered:
    """Make a job of it beside its instants, also if it is paused. Each request makes one."""
    await no_body(request)
    await _known(request, client, name)
    job = await client.schedules.trigger(name)
    return Triggered(id=job.id, state=job.first_state.value)


async def _put(request: Request, client: TheClient, name: str, body: ScheduleBody) -> Schedule:
    _check_task(request, body.task)
    with suppress(UnknownSchedule):
        await _known(request, client, name)
    return _seen(request, await client.schedules.add(name, body.task, body.args, **body.given()))


async def _known(request: Request, client: TheClient, name: str) -> ScheduleStatus:
    status = await client.schedules.show(name)
    if status.spec is not None:
        _check_task(request, status.spec.task)
    return status


def _check_task(request: Request, task: str) -> None:
    """Raises `Forbidden` for a key that is for other tasks, and for one of a tenant: schedules are of all."""
    principal = principal_of(request)
    if principal.tenant is not None or not principal.allows_task(task):
        raise Forbidden(f"{principal.label} may not see or change schedules of task {task!r:.80}")


def _seen(request: Request, status: ScheduleStatus) -> Schedule:
    return Schedule.of(status, shows_args=principal_of(request).shows_args)
