"""What routes depend on: the client and what goes with it, and bodies that are parsed and checked once, strictly.

Routes that submit call these functions themselves, see `DirectRoute`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from api import strict_json
from api.faults import faults_of, summary
from api.problems import Problem
from api.schemas import MAX_BATCH, BatchBody, JobBody
from api.submitter import Submitter
from runner import Client


@dataclass(frozen=True, slots=True)
class Service:
    """What lives as long as the app: the connection to the queue, and the event that says it is time to go."""

    client: Client
    submitter: Submitter
    stopping: asyncio.Event


class DirectRoute(APIRoute):
    """A route whose function takes the request and makes the response itself: a fifth less work a submission. FastAPI describes it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def service_of(request: Request) -> Service:
    """The service this request came to."""
    return cast("Service", request.scope["state"]["service"])


async def client_of(request: Request) -> Client:
    """The client of the service this request came to."""
    return service_of(request).client


async def job_body(request: Request) -> JobBody:
    """The job in the body. Raises `Problem`."""
    value = await _json(request)
    try:
        return JobBody.model_validate(value)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False), list(JobBody.model_fields))
        raise Problem("validation", summary(faults), faults=faults) from None


async def batch_body(request: Request) -> BatchBody:
    """The jobs in the body. Raises `Problem`, naming the index of the first bad one."""
    value = await _json(request)
    try:
        return BatchBody.model_validate(value)
    except ValidationError as error:
        raise _batch_problem(error) from None


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that a dependency parses."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _json(request: Request) -> Any:
    _check_media_type(request)
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem("invalid-json", "the connection ended before the body did")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return strict_json.load(body)


def _check_media_type(request: Request) -> None:
    given = encoding = b""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            given = value
        elif name == b"content-encoding":
            encoding = value
    if given != b"application/json":
        header = Message()
        header["content-type"] = given.decode("latin-1")
        if header.get_content_type() != "application/json" or header.get_content_charset("utf-8") not in ("utf-8", "utf8"):
            raise Problem("unsupported-media-type", f"Content-Type is {given.decode('latin-1')[:80]!r}: send application/json in UTF-8")
    if encoding.lower() not in (b"", b"identity"):
        raise Problem("unsupported-media-type", f"Content-Encoding is {encoding.decode('latin-1')[:80]!r}: send the body uncompressed")


def _batch_problem(error: ValidationError) -> Problem:
    errors = error.errors(include_url=False)
    first = errors[0]
    in_a_job = len(first["loc"]) > 1
    faults = faults_of(errors, list((JobBody if in_a_job else BatchBody).model_fields))
    if first["type"] == "too_long" and first["loc"] == ("jobs",):
        return Problem("batch-invalid", f"a batch has at most {MAX_BATCH} jobs: send the rest in another", faults=faults, status=413)
    if in_a_job:
        return Problem("batch-invalid", f"job {first['loc'][1]}: {summary(faults)}", faults=faults)
    return Problem("validation", summary(faults), faults=faults)


TheClient = Annotated[Client, Depends(client_of)]
