"""Over HTTP a task gets what its types say, and what would arrive otherwise is refused."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from runner import Runner
from tests.app_internals import publish
from tests.http.conftest import Service, working


class Order(BaseModel):
    number: int = Field(alias="orderNo")
    raw: bytes = b""


async def test_models_datetimes_and_bytes_arrive_as_what_they_are(app: Runner, service: Service) -> None:
    arrived: list[Any] = []

    @app.task
    async def keep(order: Order, at: datetime, raw: bytes) -> Order:
        arrived.extend([order, at, raw])
        return order

    await publish(app)
    async with working(app):
        job_id = await service.submit("keep", args={"order": {"orderNo": "7"}, "at": "2026-01-01T01:00:00+01:00", "raw": "_w=="})
        ended = (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()

    assert arrived == [Order(orderNo=7), datetime(2026, 1, 1, tzinfo=UTC), b"\xff"]
    assert (ended["state"], ended["result"]) == ("succeeded", {"orderNo": 7, "raw": ""})
    assert await app.client.job(job_id, result=Order).result(timeout=5) == Order(orderNo=7)


async def test_a_result_that_would_arrive_changed_is_shown_with_its_place(app: Runner, service: Service) -> None:
    @app.task
    async def rows() -> dict[str, Any]:
        return {"rows": [(1, 2)]}

    await publish(app)
    async with working(app):
        job_id = await service.submit("rows")
        ended = (await service.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()

    assert (ended["state"], ended["error"]["type"]) == ("failed", "InvalidResult")
    assert "rows.0: (1, 2) would arrive as [1, 2]" in ended["error"]["message"]
