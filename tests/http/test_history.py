"""What happened, by both clients and over HTTP: who may ask, for what, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from runner import Client, ConfigurationError, HttpClient, Runner, Worker
from runner.errors import Forbidden
from tests.http.conftest import Service, both_clients

AnyClient = Client | HttpClient
SOON_S = 20


client = both_clients("observer")


async def test_what_happened_is_told_by_both_clients_alike(client: AnyClient, app: Runner, worker: Worker) -> None:
    for _ in range(3):
        assert await (await app.client.submit("add", {"left": 1, "right": 2})).result(timeout=SOON_S) == 3

    queue, task, nothing = await client.history("q", "t:add", "l:slow", step="hour")

    assert sum(row.succeeded for row in queue.rows) == sum(row.submitted for row in task.rows) == 3
    assert sum(row.ran.count for row in queue.rows) == sum(row.waited.count for row in queue.rows) == 3
    assert (nothing.rows, nothing.name) == ((), "l:slow")
    assert await client.history("q", "t:add", "l:slow", step="hour", since="2h") == await app.client.history(
        "q", "t:add", "l:slow", step="hour", since="2h"
    )
    assert await client.history(start=0.0, end=60.0) == await app.client.history(start=0.0, end=60.0)
    assert await client.history_series() == []  # no minute is over


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"since": "soon"}, "'soon'"),
        ({"since": "2d"}, "ask by the hour"),
        ({"since": 60, "start": 0.0}, "both given"),
        ({"start": 60.0, "end": 60.0}, "the end comes after the start"),
        ({"step": "week"}, "week"),
    ],
)
async def test_what_no_history_can_answer_is_refused(client: AnyClient, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await client.history(**wrong)  # type: ignore[arg-type]
    for name in ("charge", "t:", ""):
        with pytest.raises(ConfigurationError):
            await client.history(name)
    with pytest.raises(ConfigurationError):
        await client.history(*(f"t:{n}" for n in range(101)))


async def test_the_history_is_for_who_may_read_it_and_of_tasks_that_are_theirs(app: Runner, service: Service, worker: Worker) -> None:
    producer = (await app.client.keys.create("p", preset="producer")).secret
    tenant = (await app.client.keys.create("t", preset="observer", tenant="t7")).secret
    of_tasks = (await app.client.keys.create("o", preset="observer", tasks=["add"])).secret
    for secret in (producer, tenant):
        answer = await service.http.get("/v1/history", headers={"authorization": f"Bearer {secret}"})
        assert answer.status_code == 403
    async with HttpClient(service.url, key=of_tasks) as client:
        assert [series.name for series in await client.history("t:add", "l:slow")] == ["t:add", "l:slow"]
        assert await client.history_series() == []
        for name in ("q", "t:fail"):
            with pytest.raises(Forbidden, match="own tasks only"):
                await client.history(name)


async def test_instants_are_given_as_they_are_written(service: Service) -> None:
    now = datetime.now(UTC)
    good = {"from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat(), "series": ["q", "t:a b"]}
    answer = await service.http.get("/v1/history", params=good)
    assert answer.json() == {"series": [{"series": name, "step": "minute", "rows": [], "missing_minutes": 0} for name in ("q", "t:a b")]}
    for wrong in ({"from": "yesterday"}, {"from": good["to"], "to": good["from"]}, {"step": "year"}, {"series": "charge"}):
        answer = await service.http.get("/v1/history", params=wrong)
        assert answer.status_code == 422, wrong


async def test_instants_of_any_year_are_asked_for(service: Service) -> None:
    for query in ({"to": "0029-01-01T00:00:00Z"}, {"to": "5170-01-01T00:00:00Z", "step": "day"}):
        answer = await service.http.get("/v1/history", params=query)
        assert (answer.status_code, answer.json()["series"][0]["rows"]) == (200, [])
