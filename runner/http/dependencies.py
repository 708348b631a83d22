"""What routes depend on: the client and what goes with it, and bodies that are parsed and checked once, strictly."""

import asyncio
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError

from runner import Client
from runner.http import strict_json
from runner.http.problems import Problem
from runner.http.schemas import MAX_BATCH, BatchBody, JobBody
from runner.http.validation_errors import faults_of, summary

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Service:
    """What lives as long as the app: the connection to the queue, and the event that says it is time to go."""

    client: Client
    stopping: asyncio.Event


def service_of(request: Request) -> Service:
    """The service this request came to."""
    return cast("Service", request.scope["state"]["service"])


async def client_of(request: Request) -> Client:
    """The client of the service this request came to."""
    return service_of(request).client


async def parsed_body(request: Request, model: type[Body]) -> Body:
    """The body as a model. Raises `Problem`."""
    return _model_of(request, await _read(request), model)


async def batch_body(request: Request) -> BatchBody:
    """The jobs in the body. Raises `Problem`, naming the index of the first bad one."""
    value = _json(request, await _read(request))
    try:
        return BatchBody.model_validate(value)
    except ValidationError as error:
        raise _batch_problem(error) from None


async def optional_body(request: Request, model: type[Body]) -> Body:
    """The same where the body may be left out, and its Content-Type with it. Raises `Problem`."""
    body = await _read(request)
    if body or "content-type" in request.headers:
        return _model_of(request, body, model)
    # A page of another site can send a POST without a body: the browser asks nobody first, but tells where the page is from.
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Problem("unsupported-media-type", f"the request comes from a page of {origin[:80]!r}: send {{}} as application/json")
    return model()


async def no_body(request: Request) -> None:
    """Where a body says nothing: none, or {}. Raises `Problem`."""
    await optional_body(request, _Nothing)


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What OpenAPI says of a body that a dependency parses."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


class _Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _model_of(request: Request, body: bytes | bytearray, model: type[Body]) -> Body:
    value = _json(request, body)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False), list(model.model_fields))
        raise Problem("validation", summary(faults), faults=faults) from None


def _json(request: Request, body: bytes | bytearray) -> Any:
    _check_media_type(request)
    return strict_json.load(body)


async def _read(request: Request) -> bytearray:
    """The body as it comes; once, as it comes only once."""
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem("invalid-json", "the connection ended before the body did")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


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
