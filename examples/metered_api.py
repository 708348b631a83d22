"""An API for five requests a minute, over all its users; the sixth is answered 429, before any work, with the time to come back.

    RUNNER_REDIS_URL=redis://localhost:6379/0 uvicorn examples.metered_api:app

    curl -i localhost:8000/          200  {"message": "Congrats, your request was succesfull!"}    RateLimit: "requests";r=4;t=60
    curl -i localhost:8000/          429  Retry-After: 60                                           (after five of them)

Three questions about such an API:

Can each user have five of their own? Yes, give the limit a key: `build(Runner("metered-api"), key=by_header("X-User"))`.

What if the process that refills the bucket goes down? There is none. The script that takes a token computes from the time how
full the bucket is: no leader, no worker and no timer is needed.

And if Redis goes down: do all requests pass, or none? Choose: `on_error="local"` (each process keeps to its share: 5 / `instances`),
"open" (all pass), or "closed" (503, as it is not the caller's fault). When Redis is back it is asked again within two seconds.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from runner import Runner, SlidingWindow
from runner.asgi import KeyFunction, OnError, RateLimitMiddleware, Rule


def build(
    jobs: Runner,
    *,
    per: float = 60,
    key: KeyFunction | None = None,
    on_error: OnError = "local",
    instances: int = 1,
) -> FastAPI:
    """The API: five requests in any `per` seconds, together or, with a `key`, for each of its values."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await jobs.close()

    requests = SlidingWindow("requests", 5, per=per, key="{user}" if key else None)
    app = FastAPI(title="Metered API", lifespan=lifespan)
    app.add_middleware(
        RateLimitMiddleware,
        runner=jobs,
        rules=[Rule(limit=requests, key=key)],
        on_error=on_error,
        instances=instances,
    )

    @app.get("/")
    async def congratulate() -> dict[str, str]:
        return {"message": "Congrats, your request was succesfull!"}

    return app


app = build(Runner("metered-api"))
