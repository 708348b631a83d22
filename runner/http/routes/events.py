"""What happens, as server-sent events: to one job until its end, and the ends of all jobs."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from runner import Client, JobEvent, Scope, State, StoreUnavailable, UnknownJob
from runner.http import routing
from runner.http.authorization import needs, principal_of
from runner.http.dependencies import service_of
from runner.http.event_frames import frame
from runner.http.event_stream import MEDIA_TYPE, EventStream
from runner.http.forms import EVENT_ID, KNOWN_ID, WATCH, Unset
from runner.http.instants import utc
from runner.http.job_documents import document_without_payloads, progress_document
from runner.http.problem_kinds import STORE_UNAVAILABLE
from runner.http.problems import Problem, responses
from runner.http.watched import check_watch, watch_of, watching

router = routing.group("events", "/v1")

_AWAY_S = 1.0
"""The pause between two looks while Redis is away."""
_AWAY = frame("away", {"detail": STORE_UNAVAILABLE})

_LAST = "the id of the last event that was received: what came after it is told; browsers send it when they connect again"


_WATCH = "`overview`; with a limit's line, `limit:NAME` or `limit:NAME/KEY`; with a job, `job:ID`"


def _stream(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get(
    "/jobs/{id}/events",
    dependencies=[needs(Scope.jobs_read)],
    response_class=Response,
    summary="Follow a job",
    responses=responses("not-found", "invalid-id", "validation", "too-many-streams", "busy", "store-unavailable")
    | _stream(
        "`state`: the job as it is now, and again whenever it has changed; `progress`: what its handler has said of its progress since;"
        " `away`: Redis cannot be asked just now"
    )
    | {204: {"description": "It has ended, and the caller has seen that: do not connect again"}},
)
async def job_events(
    id: Annotated[str, Path(description="the job's id", **KNOWN_ID)],
    request: Request,
    last_event_id: Annotated[str | Unset, Header(description=_LAST)] = None,
) -> Response:
    """Server-sent events of one job, without its arguments, result and error. The last one is its end, and then the stream ends.

    Changes within half a second may be told as one. The ids of events are versions, as in ETag.
    """
    service = service_of(request)
    service.client.job(id)  # refuses what can be no id
    (found,) = await service.client.statuses([id], payloads=False)
    if found is None:
        raise Problem("not-found", f"no job {id!r} on queue {service.client.queue!r}: never submitted, or its result has expired")
    if found.state.is_final and found.version == last_event_id:
        return Response(status_code=204)
    return EventStream(_changes(service.client, id, last_event_id), service, Scope.jobs_read)


@router.get(
    "/events",
    dependencies=[needs(Scope.jobs_read)],
    response_class=Response,
    summary="Follow the ends of all jobs",
    responses=responses("validation", "too-many-streams", "busy", "store-unavailable")
    | _stream(
        "`open`: from here on; `end`: a job has ended; `away`: Redis cannot be asked just now. With `watch`: `overview`: how the queue stands;"
        " `change`: what has changed of it; `line`, `job`: what is watched; `audit`: what somebody has changed"
    ),
)
async def events(
    request: Request,
    last_event_id: Annotated[str | Unset, Header(description=_LAST, **EVENT_ID)] = None,
    task: Annotated[Annotated[list[str], Field(max_length=50)] | Unset, Query(description="only jobs of these tasks")] = None,
    state: Annotated[Annotated[list[State], Field(max_length=4)] | Unset, Query(description="only ends in these states")] = None,
    watch: Annotated[Annotated[str, Field(max_length=300, **WATCH)] | Unset, Query(description=_WATCH)] = None,
) -> Response:
    """Server-sent events of a queue: each job that ends, in order, half a second late at most.

    They come from the history, which keeps so many ends as RUNNER_HISTORY_LENGTH says: who connects again with the id of the last event
    misses none of those. `missed` is true if there were more. `Last-Event-ID: 0` begins with the oldest that is kept.

    With `watch` it tells in place of them how the whole queue stands, as `GET /v1/overview`: whole at first, then each second what has changed.
    That needs the right `stats:read`. Who comes again within a minute with the id of the last event is told what has changed since.
    """
    service = service_of(request)
    if watch is not None:
        if task or state:
            raise Problem("validation", "watch is given with task or state, which choose ends of jobs: give one of both")
        wanted, principal = watch_of(watch), principal_of(request)
        await check_watch(service, principal, wanted)
        return EventStream(watching(service, principal, wanted, last_event_id), service, Scope.stats_read)
    if last_event_id is not None:
        await service.client.events(last_event_id).aclose()  # refuses what can be no id
    place = last_event_id or await service.client.latest_event()
    return EventStream(_ends(service.client, place, task or (), state or ()), service, Scope.jobs_read)


async def _changes(client: Client, job_id: str, told: str | None) -> AsyncGenerator[bytes, None]:
    is_away, beside = False, None
    while True:
        try:
            async with aclosing(client.job(job_id).changes()) as changes:
                async for status in changes:
                    before, beside = beside, replace(status, progress=None).version
                    if not is_away and before == beside and status.progress is not None:
                        yield frame("progress", progress_document(status) or {}, status.version)
                    elif is_away or status.version != told:
                        yield frame("state", document_without_payloads(status), status.version)
                    is_away, told = False, status.version
            return
        except UnknownJob:
            return  # it has ended, and what it came to has expired
        except StoreUnavailable:
            if not is_away:
                yield _AWAY
            is_away = True
        await asyncio.sleep(_AWAY_S)


async def _ends(client: Client, place: str, tasks: Sequence[str], states: Sequence[State]) -> AsyncGenerator[bytes, None]:
    is_away, is_open = False, False
    while True:
        try:
            await client.latest_event()  # raises as long as Redis is away
            if not is_open:
                yield frame("open", {}, place)
            is_away, is_open = False, True
            async with aclosing(client.events(place)) as ends:
                async for end in ends:
                    place = end.id
                    if end.missed or ((not tasks or end.task in tasks) and (not states or end.state in states)):
                        yield frame("end", _end_document(end), end.id)
        except StoreUnavailable:
            if not is_away:
                yield _AWAY
            is_away, is_open = True, False
        await asyncio.sleep(_AWAY_S)


def _end_document(end: JobEvent) -> dict[str, Any]:
    return {
        "id": end.job_id,
        "task": end.task,
        "state": end.state,
        "attempt": end.attempt,
        "at": utc(end.at),
        "missed": end.missed,
    }
