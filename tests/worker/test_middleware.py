"""Middleware: around each attempt, for plain and async tasks alike; in a real worker, and where errors are the point, by the testing kit."""

import threading
from typing import Annotated, Any

import pytest

from runner import ConfigurationError, Depends, JobContext, JobFailed, Next, Runner, injected
from runner.testing import run
from tests.worker.conftest import Crew


async def test_the_first_of_the_app_is_the_outermost_and_dependencies_are_inside(app: Runner, crew: Crew) -> None:
    events: list[str] = []

    def noted(name: str) -> Any:
        async def middleware(job: JobContext, call_next: Next) -> Any:
            events.append(f"{name} begins")
            result = await call_next()
            events.append(f"{name} ends {job.id}")
            return result

        return middleware

    def get_client() -> str:
        events.append("client")
        return "client"

    app.middleware(noted("first"))
    app.middleware(noted("second"))

    @app.task(middleware=[noted("own")])
    async def charge(order: str, *, client: Annotated[str, Depends(get_client)] = injected) -> str:
        return f"{order} {client}"

    @app.task
    def plain(order: str) -> str:
        return f"{order} in {threading.current_thread().name[:11]}"

    await crew.start(app)
    assert await (await charge.with_options(id="j").submit("o")).result(timeout=5) == "o client"
    assert events == [
        *("first begins", "second begins", "own begins", "client"),
        *("own ends j", "second ends j", "first ends j"),
    ]
    assert await (await plain.submit("o")).result(timeout=5) == "o in runner-task"


async def test_it_sees_errors_and_may_answer_otherwise(local_app: Runner) -> None:
    @local_app.middleware
    async def translates(job: JobContext, call_next: Next) -> Any:
        if job.id == "skipped":
            return "without the handler"
        try:
            result = await call_next()
        except KeyError as error:
            raise LookupError(f"translated from {error!r}") from error
        return result.upper() if job.id == "changed" else 7 if job.id == "wrong" else result

    @local_app.task(retries=0)
    async def look(key: str) -> str:
        if key == "none":
            raise KeyError(key)
        return key

    assert (await run(look.with_options(id="skipped"), "none")).result == "without the handler"
    assert (await run(look.with_options(id="changed"), "a")).result == "A"
    with pytest.raises(JobFailed, match="LookupError: translated from KeyError"):
        _ = (await run(look, "none")).result
    with pytest.raises(JobFailed, match="InvalidResult"):
        _ = (await run(look.with_options(id="wrong"), "a")).result


async def test_one_that_raises_or_goes_on_twice_is_a_failed_attempt(local_app: Runner) -> None:
    async def twice(_: JobContext, call_next: Next) -> Any:
        await call_next()
        return await call_next()

    async def broken(_: JobContext, _next: Next) -> Any:
        raise SystemExit(3)

    ran: list[str] = []

    @local_app.task(retries=0, middleware=[twice])
    async def charge() -> None:
        ran.append("charge")

    @local_app.task(retries=0, middleware=[broken])
    async def pay() -> None:
        ran.append("pay")

    with pytest.raises(JobFailed, match="called call_next twice: an attempt runs its handler once"):
        _ = (await run(charge)).result
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        _ = (await run(pay)).result
    assert ran == ["charge"]


async def test_what_cannot_be_a_middleware_is_refused(local_app: Runner) -> None:
    def plain(_job: JobContext, call_next: Next) -> Any:
        return call_next()

    async def pay() -> None: ...

    with pytest.raises(ConfigurationError, match="is no async function: write `async def timing"):
        local_app.middleware(plain)
    with pytest.raises(ConfigurationError, match="task 'pay': middleware 3 is no async function"):
        local_app.task(name="pay", middleware=[3])(pay)  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="middleware is 'timing', and must be a list of async functions"):
        local_app.task(name="pay", middleware="timing")(pay)  # type: ignore[arg-type]
