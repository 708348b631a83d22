"""A batch as lines of NDJSON: each line is a job, and has a line of the answer. A bad line costs that line."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic_core import to_json

from runner import JobHandle
from runner.http import strict_json
from runner.http.acceptances import described
from runner.http.authorization import principal_of
from runner.http.bodies import model_of
from runner.http.dependencies import Service, service_of
from runner.http.job_body import JobBody
from runner.http.ndjson import MOST_LINE_BYTES, Line, LinesAnswer, portions, stop_of
from runner.http.problems import ANSWERED, Problem, base_of, problem_of

_OUT_OF_ORDER = ("damaged-queue", "outdated-service", "overloaded", "store-unavailable")
"""Problems that the next lines would have too."""


def lines_answer(request: Request) -> Response:
    """The answer to a batch of lines; it begins with the first of them."""
    return LinesAnswer(_answers(request, service_of(request), base_of(request)))


async def _answers(request: Request, service: Service, base: str) -> AsyncGenerator[bytes, None]:
    stop = stop_of(service.stopping)
    read, problem = 0, None
    try:
        async for portion in portions(request, stop):
            try:
                # The request has taken a token of its key's rate for its first line.
                await _charge(service, request, portion.price - (read == 0))
            except ANSWERED as error:
                problem = problem_of(error).document(base)
                break
            documents = await _submitted(service, portion.lines, base) if portion.lines else []
            if documents:
                yield b"".join(to_json(document) + b"\n" for document in documents)
            read = portion.last
            problem = next((found for document in documents if (found := document.get("problem")) and _ends_all(found)), None)
            if problem is not None:
                break
        if problem is None and stop.done():
            problem = Problem("store-unavailable", "the service stops: send the lines that have no answer again").document(base)
        if problem is not None:
            yield to_json({"unread_from": read + 1, "problem": problem}) + b"\n"
    finally:
        stop.cancel()


async def _charge(service: Service, request: Request, count: int) -> None:
    """Take tokens of the rate of the caller's key, as a batch does. Raises `Problem`, `StoreUnavailable`."""
    if count > 0:
        await service.quotas.take(principal_of(request), count)


def _ends_all(problem: dict[str, Any]) -> bool:
    return problem["type"].rpartition("/")[2] in _OUT_OF_ORDER


async def _submitted(service: Service, lines: Sequence[Line], base: str) -> list[dict[str, Any]]:
    """What becomes of each line. Those of a portion are submitted at the same time, so they share calls."""
    bodies = [_body(line) for line in lines]
    jobs = {at: body for at, body in enumerate(bodies) if isinstance(body, JobBody)}
    outcomes: list[Any] = await asyncio.gather(*(service.client.submit(*job.request()) for job in jobs.values()), return_exceptions=True)
    found = dict(zip(jobs, outcomes, strict=True)) | {at: body for at, body in enumerate(bodies) if isinstance(body, Problem)}
    stored = {at: outcome for at, outcome in found.items() if isinstance(outcome, JobHandle)}
    items = await described(service.client, [jobs[at].task for at in stored], list(stored.values()), base)
    by_place = dict(zip(stored, items, strict=True))
    return [_document(line, by_place.get(at), found[at], base) for at, line in enumerate(lines)]


def _body(line: Line) -> JobBody | Problem:
    try:
        if line.text is None:
            return Problem("body-too-large", f"the line is longer than {MOST_LINE_BYTES} bytes: submit such a job by itself")
        return model_of(strict_json.load(line.text), JobBody)
    except Problem as problem:
        return problem


def _document(line: Line, item: dict[str, Any] | None, outcome: Any, base: str) -> dict[str, Any]:
    if item is not None:
        names = {"line": line.number, "id": item["id"], "task": item["task"]}
        return names | {name: value for name, value in item.items() if value is not None}
    if not isinstance(outcome, ANSWERED):
        raise outcome  # a defect, for the app to log
    return {"line": line.number, "problem": problem_of(outcome).document(base)}
