"""The shop's own users: who may do what, for its routes and for those of the queue."""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

USERS = {"staff-token": "staff", "operator-token": "operator"}
"""Who is who; a shop of yours asks its sessions or its identity provider."""


def role_of(request: Request) -> str | None:
    """The role of the user who sends a request, None for a stranger."""
    return USERS.get(request.headers.get("authorization", "").removeprefix("Bearer "))


def known_user(request: Request) -> str:
    """The dependency of every route: the role, or 401."""
    role = role_of(request)
    if role is None:
        raise HTTPException(401, "log in first", {"WWW-Authenticate": "Bearer"})
    return role


User = Annotated[str, Depends(known_user)]


class OperatorsOnly:
    """What guards a mounted app: FastAPI runs no dependency before it, so it is middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and role_of(Request(scope)) != "operator":
            await JSONResponse({"detail": "operators only"}, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
