"""A queue inside an app that has users of its own: the shop's staff follow jobs under /queue, its operators have the whole service.

    RUNNER_REDIS_URL=redis://localhost:6379/0 uvicorn examples.mounted_queue:app

    curl -X POST localhost:8000/orders/o-17/payment -H 'Authorization: Bearer staff-token'           200  {"by": "staff", "job": "..."}
    curl localhost:8000/queue/v1/jobs/... -H 'Authorization: Bearer staff-token'                     200
    curl localhost:8000/operators/v1/limits -H 'Authorization: Bearer operator-token'                200
    open http://localhost:8000/docs                                                                  the shop's own, with the queue's routes

Two ways to have it, which differ in who guards it. `include_router` puts the routes among yours: your dependencies run before each,
your /docs shows them, and your exception handlers answer what your dependencies raise. `mount` puts a whole app beside yours, with
its own /docs and /openapi.json: FastAPI runs no dependency before a mounted app, so what guards it is middleware.

The app runs the jobs too, as a worker in its lifespan. Start `python -m runner worker --app examples.mounted_queue:jobs` for more.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runner import Runner, TokenBucket, Worker
from runner.http import create_app, router

USERS = {"staff-token": "staff", "operator-token": "operator"}
"""Who is who; a shop of yours asks its sessions or its identity provider."""


def role_of(request: Request, users: Mapping[str, str]) -> str | None:
    """The role of the user who sends a request, None for a stranger."""
    return users.get(request.headers.get("authorization", "").removeprefix("Bearer "))


class OperatorsOnly:
    """Lets operators pass to the app that it guards."""

    def __init__(self, app: ASGIApp, users: Mapping[str, str]) -> None:
        self._app = app
        self._users = users

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and role_of(Request(scope), self._users) != "operator":
            await JSONResponse({"detail": "operators only"}, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def build(jobs: Runner, users: Mapping[str, str] = USERS) -> FastAPI:
    """The shop, with the queue of `jobs` inside."""

    @jobs.task(limits=[TokenBucket("payments", rate="10/s")])
    async def charge(order: str) -> str:
        return f"charged {order}"

    def user(request: Request) -> str:
        role = role_of(request, users)
        if role is None:
            raise HTTPException(401, "log in first", {"WWW-Authenticate": "Bearer"})
        return role

    stopping = asyncio.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        worker = Worker(jobs)
        working = asyncio.create_task(worker.run())
        yield
        worker.stop()
        await working
        await jobs.close()

    shop = FastAPI(title="Shop", lifespan=lifespan)
    shop.include_router(router(jobs, stopping=stopping), prefix="/queue", dependencies=[Depends(user)])
    shop.mount("/operators", OperatorsOnly(create_app(jobs, stopping), users))

    @shop.post("/orders/{order}/payment")
    async def pay(order: str, role: Annotated[str, Depends(user)]) -> dict[str, str]:
        job = await charge.submit(order)
        return {"by": role, "job": job.id}

    return shop


jobs = Runner("shop")
app = build(jobs)
