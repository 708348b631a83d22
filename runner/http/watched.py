"""What a stream is asked to watch: the overview, and beside it the line of a limit, or one job."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, NamedTuple

from runner import AuditLine, Overview, Principal, Scope, StoreUnavailable
from runner.http.authorization import lacking
from runner.http.dependencies import Service
from runner.http.event_frames import frame
from runner.http.instants import utc
from runner.http.job_documents import document_without_payloads
from runner.http.limit_in_path import of_named_limit
from runner.http.problem_kinds import STORE_UNAVAILABLE
from runner.http.problems import Problem

KINDS = ("overview", "limit", "job")
_AWAY_S = 1.0
"""The pause between two looks while Redis is away."""


class Watch(NamedTuple):
    """What is watched: the overview alone, or beside it one limit or bucket, or one job."""

    kind: str
    name: str = ""


def watch_of(text: str) -> Watch:
    """`overview`, `limit:NAME`, `limit:NAME/KEY` or `job:ID`. Raises `Problem` for anything else."""
    kind, colon, name = text.partition(":")
    if kind not in KINDS or (kind == "overview") != (not colon) or bool(colon) != bool(name):
        raise Problem("validation", f"watch={text!r:.80} is nothing to watch: give overview, limit:NAME, limit:NAME/KEY or job:ID")
    return Watch(kind, name)


async def check_watch(service: Service, principal: Principal, watch: Watch) -> None:
    """Raises `Forbidden`, and `Problem` or `InvalidOption` for what cannot be watched."""
    needed = [Scope.stats_read, *([Scope.limits_read] if watch.kind == "limit" else [])]
    for right in needed:
        if right not in principal.scopes:
            raise lacking(principal, right)
    if watch.kind == "limit":
        await of_named_limit(service.client.waiting_line(watch.name, most=1))
    elif watch.kind == "job":
        service.client.job(watch.name)  # refuses what can be no id
    await service.client.overview()  # refuses a tenant


async def watching(service: Service, principal: Principal, watch: Watch, told: str | None) -> AsyncGenerator[bytes, None]:
    """The frames of a stream: the overview whole and then its changes, what is watched beside it, and what people change.

    told: the number of the overview that the caller has seen last.
    """
    since: datetime | None = None
    latest: datetime | None = None
    job_version, is_away = "", False
    heard: str | None = None
    while True:
        try:
            async with aclosing(service.client.overviews()) as overviews:
                async for overview in overviews:
                    since, latest = since or overview.at, overview.at
                    told, one = service.told.frames(overview, principal, told)
                    if one:
                        yield one
                    is_away = False
                    for line in _new_changes(overview, heard, since):
                        heard = line.id
                        yield frame("audit", change_document(line))
                    if watch.kind == "limit":
                        yield await service.lines.frame(service.client, principal, watch.name, overview.at)
                    elif watch.kind == "job":
                        (status,) = await service.client.statuses([watch.name], payloads=False)
                        version = "gone" if status is None else status.version
                        if version != job_version:
                            job_version = version
                            yield frame("job", {"id": watch.name, "state": None} if status is None else document_without_payloads(status))
        except StoreUnavailable:
            if not is_away:
                yield frame("away", {"since": latest, "detail": STORE_UNAVAILABLE})
            is_away = True
        await asyncio.sleep(_AWAY_S)


def _new_changes(overview: Overview, heard: str | None, since: datetime) -> Iterator[AuditLine]:
    """What was changed since the stream began, and was not told yet."""
    for line in overview.changes:
        if line.at >= since.timestamp() and (heard is None or _place(line.id) > _place(heard)):
            yield line


def _place(line_id: str) -> tuple[int, ...]:
    return tuple(map(int, line_id.split("-")))


def change_document(line: AuditLine) -> dict[str, Any]:
    """A change as streams tell it."""
    at = utc(line.at)
    told = {"id": line.id, "at": at, "who": line.by, "door": line.door, "act": line.action, "target": line.target}
    return {**told, "text": line.outcome or line.after, "why": line.reason}
