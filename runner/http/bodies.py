"""The body of a request: read up to a size limit, parsed as strict JSON, checked by a model that converts nothing and knows all its fields."""

from email.message import Message
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from runner.http import strict_json
from runner.http.problems import Problem
from runner.http.validation_errors import faults_of, summary

MAX_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 8 * MAX_BYTES


class Body(BaseModel):
    """What every body has in common: values are not converted to other types, and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


B = TypeVar("B", bound=Body)


async def parsed_body(request: Request, model: type[B]) -> B:
    """The body as a model. Raises `Problem`."""
    return _model_of(await json_body(request), model)


async def optional_body(request: Request, model: type[B]) -> B:
    """The same where the body may be left out, and its Content-Type with it. Raises `Problem`."""
    body = await _read(request, MAX_BYTES)
    if body or "content-type" in request.headers:
        return _model_of(_parsed(request, body), model)
    # A page of another site can make a browser send a POST without a body: the browser asks for no permission, but names the site.
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Problem("unsupported-media-type", f"the request comes from a page of {origin[:80]!r}: send {{}} as application/json")
    return model()


async def no_body(request: Request) -> None:
    """For a route whose body has no fields: it is left out, or {}. Raises `Problem`."""
    await optional_body(request, Body)


async def json_body(request: Request, most_bytes: int = MAX_BYTES) -> Any:
    """The JSON value of a body of at most so many bytes. Raises `Problem`."""
    return _parsed(request, await _read(request, most_bytes))


def body_of(model: type[Body], *, required: bool = True) -> dict[str, Any]:
    """What OpenAPI says of a body that a route parses itself.

    The schema is written out in full. A reference would lead nowhere in an app that includes these routes, because FastAPI
    collects the models that routes declare, and these routes declare none for their bodies.
    """
    schema = model.model_json_schema()
    schema = _without_references(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def _without_references(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_without_references(inner, definitions) for inner in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _without_references(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _without_references(inner, definitions) for name, inner in part.items()}


def _model_of(value: Any, model: type[B]) -> B:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False), list(model.model_fields))
        raise Problem("validation", summary(faults), faults=faults) from None


async def _read(request: Request, most_bytes: int) -> bytearray:
    """The whole body. A declared length beyond the limit is refused unread, an undeclared one as soon as it passes the limit."""
    if (_declared_length(request) or 0) > most_bytes:
        raise _too_large(most_bytes)
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem("invalid-json", "the connection ended before the body did")
        body += message.get("body", b"")
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
        more = message.get("more_body", False)
    return body


def _declared_length(request: Request) -> int | None:
    """The length that Content-Length declares; None without one, and in a chunked request, where it does not count."""
    length = None
    for name, value in request.scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value[:20]) if value.isdigit() else None
    return length


def _too_large(most_bytes: int) -> Problem:
    return Problem("body-too-large", f"the body is larger than {most_bytes} bytes: send less, or in several requests")


def _parsed(request: Request, body: bytearray) -> Any:
    _check_media_type(request)
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
