"""A handler behind the middleware whose provider says wait: its caller is told to come back, and is not shown an error of the app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from runner import RateLimited, Runner, TokenBucket, raise_rate_limited, sync_limit
from runner.asgi import RateLimitMiddleware, Rule
from tests.eventually import eventually
from tests.http.metered import PATIENT_S
from tests.http.uvicorn_server import serving

PROVIDER = httpx.MockTransport(lambda _: httpx.Response(429, headers={"x-ratelimit-reset-tokens": "6m0s"}))


def app_that(answer: Any) -> FastAPI:
    app = FastAPI()
    app.get("/")(answer)
    rule = Rule(limit=TokenBucket("api", rate="10/s"), path="/elsewhere/")
    app.add_middleware(RateLimitMiddleware, runner=Runner("shop", redis_url="redis://127.0.0.1:1"), rules=[rule])
    return app


async def asked(app: FastAPI, *, shows_errors: bool = False) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=shows_errors)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        return await http.get("/")


async def through_the_hook() -> str:
    async with httpx.AsyncClient(transport=PROVIDER, event_hooks={"response": [raise_rate_limited("llm")]}) as client:
        return (await client.get("http://provider/")).text


async def in_a_group() -> None:
    raise ExceptionGroup("x", [RateLimited("llm", retry_after=0.2)])


async def unreadable() -> None:
    raise RateLimited("llm", retry_after="soon")


@pytest.mark.parametrize(("handler", "after"), [(through_the_hook, "360"), (in_a_group, "1"), (unreadable, "1")])
async def test_the_caller_is_told_when_to_come_back(handler: Any, after: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await asked(app_that(handler))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, after)
    assert answer.json()["detail"] == f"A provider that is called for this request asks to wait. Try again in {after} s."
    assert ("for a time that cannot be read: 'soon'" in caplog.text) == (handler is unreadable)


async def test_any_other_error_and_an_answer_that_has_begun_stay_what_they_are() -> None:
    async def broken() -> None:
        raise ValueError("x")

    async def begun() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise RateLimited("llm", retry_after=5)

        return StreamingResponse(parts())

    assert (await asked(app_that(broken))).status_code == 500
    with pytest.raises(RateLimited):
        await asked(app_that(begun), shows_errors=True)


async def test_a_hook_tells_of_the_limit_of_the_request_that_it_names(redis_url: str, queue: str) -> None:
    jobs = Runner(queue, redis_url=redis_url)
    limit = TokenBucket("provider", rate="1/h", burst=100)
    left = httpx.MockTransport(lambda request: httpx.Response(200, headers={"x-ratelimit-remaining": request.url.path[1:]}))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await jobs.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/{named}")
    async def ask(*, named: bool) -> None:
        async with httpx.AsyncClient(transport=left, event_hooks={"response": [sync_limit("provider" if named else None)]}) as client:
            await client.get(f"http://provider/{40 if named else 7}")

    app.add_middleware(RateLimitMiddleware, runner=jobs, rules=[Rule(limit=limit)], deadline=PATIENT_S)

    async def shown() -> tuple[int, int | None]:
        (bucket,) = (await jobs.client.control.show("provider")).buckets
        return bucket.tokens, None if bucket.provider is None else bucket.provider.left

    async def is_told() -> bool:
        return (await shown())[1] == 40

    async def is_lowered() -> bool:
        return await shown() == (30, 40)

    async with serving(app) as http:
        assert (await http.get("/false")).status_code == 200
        await http.get("/true")
        await eventually(is_told)
        assert (await shown())[0] == 98, "the first word only sees to that calls note what they need"
        await http.get("/false")
        await http.get("/true")
        await eventually(is_lowered)
