"""What is sent is what arrives, by code and by name, and a result is of the type that its handler returns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from runner import Client, JobFailed, Runner
from runner.errors import ConfigurationError, InvalidArguments, InvalidResult
from tests.worker.conftest import Crew


class Colour(Enum):
    red = "r"


class Order(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
    order_number: int
    placed_at: datetime
    colours: set[Colour] = set()


class Rush(Order):
    until: datetime | None = None


@dataclass
class Point:
    x: float
    raw: bytes = b""


class Pair(NamedTuple):
    left: int
    right: Decimal


class Options(TypedDict):
    day: date
    points: list[Point]


AT = datetime(2026, 10, 25, 2, 30, tzinfo=UTC)
VALUES: list[tuple[Any, Any]] = [
    (Order, Order(order_number=1, placed_at=AT, colours={Colour.red})),
    (Point, Point(1.5, b"\xff")),
    (Options, {"day": date(2026, 1, 1), "points": [Point(1.0)]}),
    (Pair, Pair(1, Decimal("1.10"))),
    (list[Order] | None, [Order(order_number=1, placed_at=AT)]),
    (datetime, AT),
    (timedelta, timedelta(days=-1, microseconds=3)),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (Colour, Colour.red),
    (bytes, b"\xff\x00"),
    (tuple[int, str], (1, "a")),
    (frozenset[int], frozenset({1, 2})),
    (dict[int, date], {1: date(2026, 1, 1)}),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[str(kind) for kind, _ in VALUES])
async def test_each_type_arrives_and_comes_back(app: Runner, crew: Crew, kind: Any, value: Any) -> None:
    arrived = []

    async def keep(value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - its annotations follow
        arrived.append(value)
        return value

    keep.__annotations__ = {"value": kind, "return": kind}
    task = app.task(keep)
    await crew.start(app)

    job = await task.submit(value)
    result = await job.result(timeout=5)
    (many,) = await app.submit_many([task.prepare(value)])  # type: ignore[var-annotated] # of no known type

    assert arrived[0] == result == await many.result(timeout=5) == value
    assert type(arrived[0]) is type(result) is type(value)
    assert await app.client.job(job.id, result=kind).result(timeout=5) == value
    status = await job.status()
    by_name = await app.client.submit("keep", {"value": status.args["value"]})
    assert await by_name.result(timeout=5) == status.result == status.args["value"]
    assert arrived[-1] == value


async def test_a_submission_that_would_arrive_changed_is_refused_and_nothing_is_stored(app: Runner, crew: Crew) -> None:
    @app.task
    async def charge(order: Order, details: Any = None) -> None: ...

    await crew.start(app)

    with pytest.raises(InvalidArguments, match=r"^task 'charge': order: Rush\(.* would arrive as Order\(.*: annotate the class"):
        await charge.submit(Rush(order_number=1, placed_at=AT))
    with pytest.raises(InvalidArguments, match=r"^task 'charge': details\.at: datetime"):
        await app.submit_many([charge.prepare(Order(order_number=1, placed_at=AT), {"at": AT})])


@pytest.mark.parametrize(
    ("kind", "value", "place"),
    [
        (Order, Rush(order_number=1, placed_at=AT, until=AT), "Rush("),
        (list[Order], [Rush(order_number=1, placed_at=AT)], "0: Rush("),
        (dict[str, Any], {"rows": [(1, 2)]}, "rows.0: (1, 2) would arrive as [1, 2]"),
        (Any, AT, "datetime.datetime(2026"),
        (str, None, "NoneType, which does not fit its annotation"),
        (None, 1, "int, which does not fit its annotation"),
    ],
    ids=str,
)
async def test_a_result_that_would_arrive_changed_is_a_dead_letter_and_no_retry(
    app: Runner, crew: Crew, kind: Any, value: Any, place: str
) -> None:
    attempts = []

    async def give():  # type: ignore[no-untyped-def] # noqa: ANN202 - its annotation follows
        attempts.append(1)
        return value

    give.__annotations__ = {"return": kind}
    task = app.task(give)
    await crew.start(app)
    job = await task.submit()

    with pytest.raises(JobFailed, match="InvalidResult: task 'give' returned"):
        await job.result(timeout=5)
    status = await job.status()
    assert status.error is not None
    assert status.error.type == "InvalidResult"
    assert place in status.error.message
    assert len(attempts) == 1


async def test_a_result_is_read_as_the_type_that_is_asked_for_or_not_at_all(app: Runner, crew: Crew, redis_url: str) -> None:
    class Place(BaseModel):
        x: float = Field(alias="X")

    @app.task
    async def where() -> Place:
        return Place(X=1.5)

    await crew.start(app)
    job = await where.submit()

    async with Client(app.queue, redis_url=redis_url) as client:
        assert await client.result(job.id, timeout=5) == {"X": 1.5}
        assert await client.job(job.id).result(timeout=5) == {"X": 1.5}
        assert await client.job(job.id, result=Place).result(timeout=5) == Place(X=1.5)
        assert await client.job(job.id, result=dict[str, Decimal]).result(timeout=5) == {"X": Decimal("1.5")}
        with pytest.raises(
            InvalidResult, match=r"^the job has a result that is not of the type it is read as: Input should be a valid int"
        ):
            await client.job(job.id, result=int).result(timeout=5)
        with pytest.raises(ConfigurationError, match=r"^the job: its result: a callable cannot be sent"):
            client.job(job.id, result=Callable[[], int])
    assert (await job.status()).result == {"X": 1.5}
