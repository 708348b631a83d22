"""What the type checkers of users see of tasks: never run, read by mypy and pyright in strict mode. An ignore is an error they must find."""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, ParamSpec, TypedDict, TypeVar, assert_type

from runner import (
    Acceptance,
    AsyncTask,
    AttemptRecord,
    Backoff,
    BlockingHandle,
    ChildCrashed,
    ChildError,
    Children,
    Client,
    Debounce,
    GiveUp,
    HttpClient,
    JobEvent,
    JobHandle,
    JobOptions,
    JobStatus,
    LimitStatus,
    PlainTask,
    Progress,
    Retry,
    Runner,
    Submission,
    Task,
    TokenBucket,
    Unique,
    current_job,
)

P = ParamSpec("P")
T = TypeVar("T")

jobs = Runner("typing")


@dataclass
class Point:
    x: float


class Pair(NamedTuple):
    left: int
    right: Decimal


class Options(TypedDict):
    day: datetime


def timed(function: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    return wrapper


class Charges:
    async def charge(self, order: str) -> Decimal:
        return Decimal(order)

    def __call__(self, order: str) -> int:
        return len(order)


@jobs.task
async def greet(name: str, times: int = 1) -> str:
    return f"hello {name} " * times


@jobs.task(retries=1, limits=[TokenBucket("stripe", rate="10/s", burst=20)], priority="low")
def locate(text: str, *, options: Options | None = None) -> Point:
    return Point(len(text))


@jobs.task
@timed
async def paired(left: int) -> Pair:
    return Pair(left, Decimal(0))


@jobs.task(name="listed")
async def listed() -> list[Point] | None:
    return None


@jobs.task
def promised(number: int) -> Awaitable[bytes]:
    raise NotImplementedError


method = jobs.task(Charges().charge)
called = jobs.task(name="called")(Charges())
bound = jobs.task(name="bound")(functools.partial(greet.definition.function, "you"))


@jobs.task(retries=5, retry_on=(OSError, ValueError), dont_retry_on=[ConnectionError], backoff=Backoff(base=1, jitter=0.1))
async def retried(order: str) -> int:
    raise Retry("later", delay=60) if order else GiveUp("no order")


jobs.task(retry_on=OSError)  # type: ignore[call-overload]
jobs.task(retry_on=("OSError",))  # type: ignore[arg-type]
jobs.task(dont_retry_on=(OSError(),))  # type: ignore[arg-type]
Retry("later", delay="60")  # type: ignore[arg-type]


async def declared() -> None:
    assert_type(await retried("o"), int)
    task: AsyncTask[..., str] = greet
    assert_type(task.name, str)
    assert_type(await greet("a"), str)
    assert_type(locate("a"), Point)
    assert_type(await paired(1), Pair)
    assert_type(await promised(1), bytes)
    assert_type(await method("o"), Decimal)
    assert_type(called("o"), int)


async def submitted() -> None:
    assert_type(await greet.submit("a", times=2), JobHandle[str])
    assert_type(await (await greet.submit("a")).result(timeout=1), str)
    assert_type(await (await locate.submit("a", options={"day": datetime(2026, 1, 1, tzinfo=UTC)})).result(), Point)
    assert_type(await (await paired.submit(1)).result(), Pair)
    assert_type(await (await listed.submit()).result(), list[Point] | None)
    assert_type(await (await promised.submit(1)).result(), bytes)
    assert_type(await (await method.submit("o")).result(), Decimal)
    assert_type(await (await called.submit("o")).result(), int)
    await greet.submit(1)  # type: ignore[arg-type]
    await locate.submit()  # type: ignore[call-arg]
    await locate.submit("a", unknown=1)  # type: ignore[call-arg]


async def with_options() -> None:
    assert_type(await (await locate.with_options(delay=1, priority="high").submit("a")).result(), Point)
    assert_type(await greet.with_options(id="x")("a"), str)
    greet.with_options(priority="hihg")  # type: ignore[arg-type]
    greet.with_options(retry=3)  # type: ignore[arg-type]
    JobOptions(priority="hihg")  # type: ignore[arg-type]
    jobs.task(priority="hihg")  # type: ignore[call-overload]


@jobs.task(unique=Debounce("{place}", delay=5, max_delay=60))
async def indexed(place: str) -> Point:
    return Point(0)


async def unique() -> None:
    assert_type(await (await indexed.submit("a")).result(), Point)
    latest = indexed.with_options(unique=Unique("{place}", until="start", duplicate="replace"))
    assert_type(await (await latest.submit("a")).result(), Point)
    assert_type((await indexed.with_options(unique=False).submit("a")).first_state, Acceptance)
    indexed.with_options(tags=["a"], metadata={"n": [1]})
    JobOptions(tags=[3])  # type: ignore[list-item]
    JobOptions(unique={"key": "{place}", "until": 3600})
    Unique("{place}", until="never")  # type: ignore[arg-type]
    Unique("{place}", duplicate="ignore")  # type: ignore[arg-type]
    jobs.task(unique=7)  # type: ignore[call-overload]


async def told() -> None:
    status = await (await retried.submit("o")).status()
    assert_type(status.attempts, tuple[AttemptRecord, ...])
    assert_type(status.attempts[0].ran_s, float)
    assert_type(status.deadline_at, float | None)
    assert_type(current_job().deadline_s, float | None)
    assert_type((current_job().attempt, current_job().failures), tuple[int, int])
    assert_type(status.progress, Progress | None)
    current_job().progress(1, total=2.5, note="half")
    await current_job().progress(1)
    current_job().progress("1")  # type: ignore[arg-type]
    async for said in (await retried.submit("o")).progress():
        assert_type(said.fraction, float | None)
    for said in retried.blocking.submit("o").progress():
        assert_type(said.total, float | None)
    jobs.task(retries=None, deadline=60)
    jobs.task(deadline="1 h")  # type: ignore[call-overload]


async def many() -> None:
    assert_type(greet.prepare("a"), Submission[str])
    assert_type(await jobs.submit_many([greet.prepare("a"), greet.prepare("b")]), list[JobHandle[str]])
    handles = await jobs.submit_many([locate.prepare("a")])
    assert_type(await handles[0].result(), Point)


async def by_name(client: Client) -> None:
    assert_type(await client.submit("greet", {"name": "a"}), JobHandle[Any])
    assert_type(client.job("id"), JobHandle[Any])
    assert_type(client.job("id", result=Point), JobHandle[Point])
    assert_type(client.job("id", result=list[Point]), JobHandle[list[Point]])
    assert_type(await client.job("id", result=datetime).result(), datetime)


async def over_http(client: HttpClient, either: Client | HttpClient) -> None:
    assert_type(await client.submit("greet", {"name": "a"}), JobHandle[Any])
    assert_type(client.job("id", result=Point), JobHandle[Point])
    assert_type(await client.job("id", result=list[Point]).result(), list[Point])
    assert_type(await client.status("id"), JobStatus)
    assert_type(await client.control.pause("stripe"), LimitStatus)
    assert_type(client.blocking.job("id", result=Point), BlockingHandle[Point])
    assert_type(client.blocking.limits(), list[LimitStatus])
    assert_type(await either.submit("greet", {"name": "a"}), JobHandle[Any])
    async for event in either.events():
        assert_type(event, JobEvent)
    HttpClient(7)  # type: ignore[arg-type]
    HttpClient(token="mr1_")  # type: ignore[call-arg]


def blocking(client: Client) -> None:
    assert_type(greet.blocking.submit("a"), BlockingHandle[str])
    assert_type(locate.blocking.submit("a").result(timeout=1), Point)
    assert_type(jobs.blocking.submit_many([greet.prepare("a")]), list[BlockingHandle[str]])
    assert_type(client.blocking.job("id", result=Point), BlockingHandle[Point])
    greet.blocking.submit(1)  # type: ignore[arg-type]


def taken(task: Task[[str], Point], plain: PlainTask[[str], Point]) -> tuple[Task[..., Any], Task[..., Any]]:
    return task, plain


# Child processes


reports = Runner("typing", children=Children(size=2, max_jobs=100, max_memory=500_000_000, start_timeout=30))


@reports.task(executor="process", timeout=60)
def render(report: str, pages: int = 1) -> dict[str, int]:
    return {report: pages}


async def children() -> None:
    assert_type(await (await render.submit("a", pages=2)).result(), dict[str, int])
    try:
        render("a")
    except ChildError as error:
        assert_type((error.type, error.text, error.traceback), tuple[str, str, str])
    except ChildCrashed as error:
        assert_type(str(error), str)
