"""What the type checkers of users see of dependencies: never run, read by mypy and pyright in strict mode. An ignore is an error they must find."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator
from typing import Annotated, assert_type

from runner import AsyncTask, Depends, JobContext, JobHandle, PlainTask, Runner, injected

jobs = Runner("typing-dependencies", dependencies=[])


class Http:
    pass


class Database:
    def __init__(self, url: str = "") -> None:
        self.url = url


async def get_http() -> AsyncIterator[Http]:
    yield Http()


async def get_http_too() -> AsyncGenerator[Http]:
    yield Http()


def get_number() -> int:
    return 1


def get_numbers() -> Generator[int]:
    yield 1


def get_numbers_too() -> Iterator[int]:
    yield 1


async def get_text() -> str:
    return ""


def get_later() -> Awaitable[bytes]:
    raise NotImplementedError


Client = Annotated[Http, Depends(get_http, per="worker")]

assert_type(Depends(get_http), Http)
assert_type(Depends(get_http_too), Http)
assert_type(Depends(get_number), int)
assert_type(Depends(get_numbers), int)
assert_type(Depends(get_numbers_too), int)
assert_type(Depends(get_text), str)
assert_type(Depends(get_later), bytes)
assert_type(Depends(Database), Database)


@jobs.task
async def by_annotation(
    order: str,
    *,
    client: Client = injected,
    number: Annotated[int, Depends(get_number)] = injected,
    job: JobContext = injected,
    app: Runner = injected,
) -> str:
    raise NotImplementedError((order, client, number, job, app))


@jobs.task(retries=1)
def by_default(
    order: str,
    *,
    database: Database = Depends(Database),
    http: Http = Depends(get_http),
    text: str = Depends(get_text),
) -> int:
    raise NotImplementedError((order, database, http, text))


async def called() -> None:
    asynchronous: AsyncTask[..., str] = by_annotation
    plain: PlainTask[..., int] = by_default
    assert_type(await by_annotation.submit("o"), JobHandle[str])
    assert_type(await by_default.submit("o"), JobHandle[int])
    assert_type(await by_annotation("o", client=Http()), str)
    assert_type(by_default("o"), int)
    await by_annotation.submit()  # type: ignore[call-arg]
    await by_annotation.submit("o", number="one")  # type: ignore[arg-type]
    with jobs.overrides({get_http: Http, get_number: lambda: 7}):
        del asynchronous, plain


def wrong(
    a: int = Depends(get_text),  # type: ignore[assignment]
    b: int = Depends(get_http),  # type: ignore[assignment]
    c: str = Depends(get_numbers),  # type: ignore[assignment]
    d: str = Depends(get_number),  # type: ignore[assignment]
    e: Http = Depends(Database),  # type: ignore[assignment]
) -> None:
    raise NotImplementedError((a, b, c, d, e))


Depends(get_http, per="process")  # type: ignore[call-overload]
