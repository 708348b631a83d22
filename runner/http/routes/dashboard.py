"""The dashboard's page, its scripts, and the session of a browser that looks at it."""

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from runner import Scope
from runner.dashboard import PageFile, page_files
from runner.http import routing
from runner.http.authorization import ByKey, credentials_of, needs, principal_of
from runner.http.browser_session import cookie
from runner.http.dependencies import is_our_app, service_of
from runner.http.problems import Problem

router = routing.group("dashboard", "/ui", include_in_schema=False)

_PAGE = "index.html"
_FIELDS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
"""The page runs its own scripts and asks its own service, and nothing else; a browser keeps the files and asks whether they have changed."""


class Session(BaseModel):
    """Who looks."""

    who: Annotated[str, Field(description="empty as long as the queue has no keys")]
    scopes: list[Scope]
    tenant: str | None
    queue: str
    by_key: Annotated[bool, Field(description="whether it is a key that lets them in, which the page can forget")]
    described: Annotated[bool, Field(description="whether there is a page docs beside this one")]


class Door(BaseModel):
    """How somebody is let in who is not yet."""

    by_key: Annotated[bool, Field(description="false if an app around this page says who may")]


@router.get("")
async def to_page(request: Request) -> Response:
    """Scripts and answers of the page are found below it, so its address ends with a slash."""
    return RedirectResponse(f"{request.scope['path']}/", status_code=308)


@router.post("/session", status_code=204, dependencies=[needs(Scope.limits_read)])
async def begin_session(request: Request) -> Response:
    """The key that this request was sent with becomes that of the browser."""
    key = credentials_of(request)
    return Response(status_code=204, headers={} if key is None else {"Set-Cookie": cookie(request.scope, key.decode("ascii"))})


@router.post("/sign-out", status_code=204)
async def sign_out(request: Request) -> Response:
    """The browser forgets its key. It is no less accepted: `keys revoke` ends that."""
    return Response(status_code=204, headers={"Set-Cookie": cookie(request.scope, "")})


@router.get("/session", dependencies=[needs(Scope.limits_read)])
async def session(request: Request) -> Session:
    """Who looks, and what they may do: the page shows no button that would be refused."""
    principal = principal_of(request)
    return Session(
        who=principal.label,
        scopes=sorted(principal.scopes),
        tenant=principal.tenant,
        queue=service_of(request).client.queue,
        by_key=_asks_for_keys(request) and credentials_of(request) is not None,
        described=is_our_app(request),
    )


@router.get("/door")
async def door(request: Request) -> Door:
    """What the page shows to somebody who was refused: a field for a key, or that the app's own sign-in is needed."""
    return Door(by_key=_asks_for_keys(request))


def _asks_for_keys(request: Request) -> bool:
    return isinstance(service_of(request).authorize, ByKey)


@router.get("/{path:path}")
async def file(path: Annotated[str, Path(max_length=100)], request: Request) -> Response:
    """A file of the page."""
    found = page_files().get(path or _PAGE)
    if found is None:
        raise Problem("not-found", "the dashboard has no such file; the page itself is ui/")
    return _sent(found, request)


def _sent(found: PageFile, request: Request) -> Response:
    headers = {**_FIELDS, "ETag": found.etag}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(found.content, media_type=found.media_type, headers=headers)
    return Response(found.compressed, media_type=found.media_type, headers=headers | {"Content-Encoding": "gzip"})
