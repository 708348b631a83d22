"""An app with users of its own that has the dashboard of the busy shop inside: mounted, included, and behind a gate that leads to its sign-in."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from examples.busy_shop import jobs
from runner import Principal
from runner.errors import Unauthenticated
from runner.http import create_app, router

USERS = {"ann": "admin", "eve": "observer"}


async def authorize(scope: Mapping[str, Any], action: str, target: str | None) -> Principal:
    name = Request(dict(scope)).cookies.get("session", "")
    if name not in USERS:
        raise Unauthenticated("sign in to the shop at /login")
    return Principal.of_preset(name, USERS[name])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    async with jobs.running():
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/mounted", create_app(jobs, authorize=authorize))
app.include_router(router(jobs, authorize=authorize), prefix="/included")
app.mount("/gated", create_app(jobs, authorize=authorize))


@app.get("/login")
def login() -> str:
    return "who are you?"


@app.middleware("http")
async def gate(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Leads whoever has no session to the sign-in, but for the files of the page: one that is open when its session ends has them."""
    is_question = "x-runner-page" in request.headers
    if is_question and request.url.path.startswith("/gated/") and request.cookies.get("session") not in USERS:
        return RedirectResponse("http://elsewhere.invalid/login")
    return await go_on(request)
