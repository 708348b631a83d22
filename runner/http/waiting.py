"""How long a request waits for the end of a job: `?wait=`, or `Prefer: wait=` (RFC 7240)."""

import asyncio
from typing import Any

from fastapi import Request

from runner import JobStatus
from runner.http.dependencies import Service
from runner.http.stops import stopped

MAX_WAIT_S = 60

PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": f"wait=N (RFC 7240): answer at the end of the job, but after N seconds at the latest, of which there are {MAX_WAIT_S} at"
    " most; the header Preference-Applied says how many there were. Anything else in it is ignored, as the RFC has it.",
}
"""What OpenAPI says of the header. Routes read it themselves, as some are called without FastAPI's reading."""

APPLIED: dict[str, Any] = {"Preference-Applied": {"schema": {"type": "string"}, "description": "wait=N, if the request preferred to wait"}}


def preferred_s(request: Request) -> int:
    """The seconds that `Prefer: wait=` asks for, as far as they are granted; 0 without. What cannot be read is no preference."""
    # The fields as they are: to look one up in a mapping of them would take each request longer.
    for field, value in request.scope["headers"]:
        for preference in value.decode("latin-1").split(",") if field == b"prefer" else ():
            name, _, seconds = preference.partition(";")[0].partition("=")
            if name.strip().lower() == "wait":  # of several the first counts
                digits = seconds.strip().strip('"')
                return min(int(digits[:9]), MAX_WAIT_S) if digits.isascii() and digits.isdigit() else 0
    return 0


def applied(seconds: float) -> dict[str, str]:
    """The header that tells a caller how long it was granted to wait."""
    return {"Preference-Applied": f"wait={seconds:g}"}


async def awaited(service: Service, request: Request, job_id: str, wait_s: float, most_result: int) -> JobStatus:
    """The job at its end, or when the time is up, the service stops or the caller disconnects."""
    job = service.client.job(job_id)
    # The first status answers at once if the job is unknown or Redis is away.
    known = await job.status(most_result=most_result)
    if known.state.is_final or wait_s == 0:
        return known
    end = asyncio.create_task(job.wait(wait_s, most_result=most_result))
    others: list[asyncio.Task[Any]] = [asyncio.create_task(gone(request)), asyncio.create_task(stopped(service.stopping))]
    try:
        with service.one_more_waits():
            await asyncio.wait([end, *others], return_when=asyncio.FIRST_COMPLETED)
        return end.result() if end.done() else await job.status(most_result=most_result)
    finally:
        for waiting in (end, *others):
            waiting.cancel()
        await asyncio.gather(end, *others, return_exceptions=True)


async def gone(request: Request) -> None:
    """Return once the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
