"""The body of a request: read up to a size limit, parsed as strict JSON, checked by a model that converts nothing and knows all its fields."""

from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from runner.http import large_bodies, strict_json
from runner.http.arriving import next_part
from runner.http.body_price import declared_length, has_come
from runner.http.media_type import check_media_type
from runner.http.problems import Problem
from runner.http.validation_errors import faults_of, summary

MAX_BYTES = 1024 * 1024
MOST_FAULTS = 1_000
"""Of which some are told. To gather the 50,000 that a body may have keeps everybody waiting for a tenth of a second and more."""
MAX_BATCH_BYTES = 8 * MAX_BYTES


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""For whole numbers as JSON has them: 5.0 is one, as some programs write it."""


class Body(BaseModel):
    """What every body has in common: values are not converted to other types, and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


B = TypeVar("B", bound=Body)


async def parsed_body(request: Request, model: type[B]) -> B:
    """The body as a model. Raises `Problem`."""
    return model_of(await json_body(request), model)


async def optional_body(request: Request, model: type[B]) -> B:
    """The same where the body may be left out; programs that name a Content-Type with every request name it here too. Raises `Problem`."""
    body = await _read(request, MAX_BYTES)
    if body:
        return model_of(await _parsed(request, body), model)
    if "content-type" in request.headers:
        check_media_type(request.scope["headers"])
        return model()
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
    return await _parsed(request, await _read(request, most_bytes))


def body_of(model: type[Body], *, required: bool = True, lines_of: type[Body] | None = None) -> dict[str, Any]:
    """What OpenAPI says of a body that a route parses itself, and which may be NDJSON, with `lines_of` each line of it.

    The schema is written out in full. A reference would lead nowhere in an app that includes these routes, because FastAPI
    collects the models that routes declare, and these routes declare none for their bodies.
    """
    content = {"application/json": {"schema": _whole_schema(model)}}
    if lines_of is not None:
        content["application/x-ndjson"] = {"schema": _whole_schema(lines_of)}
    return {"requestBody": {"required": required, "content": content}}


def _whole_schema(model: type[Body]) -> Any:
    schema = model.model_json_schema()
    return _without_references(schema, schema.pop("$defs", {}))


def _without_references(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_without_references(inner, definitions) for inner in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _without_references(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _without_references(inner, definitions) for name, inner in part.items()}


def model_of(value: Any, model: type[B]) -> B:
    """A JSON value as a model. Raises `Problem`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        if error.error_count() > MOST_FAULTS:
            raise Problem(
                "validation", f"the body has {error.error_count()} faults, and those of more than {MOST_FAULTS} are not looked for"
            ) from None
        faults = faults_of(error.errors(include_url=False), model)
        raise Problem("validation", summary(faults), faults=faults) from None


async def _read(request: Request, most_bytes: int) -> bytearray:
    """The whole body. A declared length beyond the limit is refused unread, an undeclared one as soon as it passes the limit.

    The rate of a key has paid for a declared length; without one it pays for what has come, of a body that is given up too.
    """
    if (declared_length(request.scope["headers"]) or 0) > most_bytes:
        raise _too_large(most_bytes)
    body = bytearray()
    try:
        if await _more(request, body, most_bytes):
            async with large_bodies.here().coming(request.scope) as grows:
                while await _more(request, body, most_bytes):
                    grows(len(body))
    except Problem:
        await has_come(request.scope, len(body))
        raise
    await has_come(request.scope, len(body))
    return body


async def _more(request: Request, body: bytearray, most_bytes: int) -> bool:
    """Add the next part to the body; whether there is another one."""
    part, has_more = await next_part(request)
    body += part
    if len(body) > most_bytes:
        raise _too_large(most_bytes)
    return has_more


def _too_large(most_bytes: int) -> Problem:
    return Problem("body-too-large", f"the body is larger than {most_bytes} bytes: send less, or in several requests")


async def _parsed(request: Request, body: bytearray) -> Any:
    check_media_type(request.scope["headers"])
    if len(body) <= large_bodies.LARGE_BYTES:
        return strict_json.load(body)
    return await large_bodies.here().read(request.scope, len(body), partial(strict_json.load, body))
