"""Apps behind RateLimitMiddleware, and how tests talk to them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response

from runner import Runner, load_settings
from runner.asgi import RateLimitMiddleware, Rule
from tests.eventually import eventually
from tests.http.uvicorn_server import serving

PATIENT_S = 5.0
"""A deadline that no busy machine misses; where Redis is there, tests are about its decision."""


def metered(jobs: Runner, rules: Sequence[Rule], **options: Any) -> FastAPI:
    """An app that answers every path with 200, and says in its state how often and with which bodies."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await jobs.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.state.bodies = []

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "OPTIONS"])
    async def answer(path: str, request: Request) -> Response:
        app.state.bodies.append(await request.body())
        return Response(path)

    app.add_middleware(RateLimitMiddleware, runner=jobs, rules=rules, **{"deadline": PATIENT_S, **options})
    return app


@asynccontextmanager
async def serving_metered(redis_url: str, queue: str, rules: Sequence[Rule], **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The same behind a real server."""
    settings = load_settings(redis_url=redis_url, command_timeout_s=PATIENT_S)
    async with serving(metered(Runner(queue, settings=settings), rules, **options)) as http:
        yield http


async def statuses(http: httpx.AsyncClient, count: int, path: str = "/", **request: Any) -> list[int]:
    """One after the other."""
    return [(await http.get(path, **request)).status_code for _ in range(count)]


async def passed(seconds: float) -> None:
    """What a polite caller does with Retry-After."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + seconds
    await eventually(lambda: loop.time() >= until_s, within_s=seconds + 1)
