"""What was spent of budgets and when one ends: by both clients, over HTTP and on the command line's lines."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runner import Client, ConfigurationError, HttpClient, Quota, Runner, Worker, current_job
from runner.cli.limits import details
from runner.cli.spending_text import spending_lines
from runner.errors import UnknownLimit
from tests.http.conftest import Service, both_clients

AnyClient = Client | HttpClient
USD = Quota("usd", 100_00, per="year", unit="USD", scale=2)
PLAN = Quota("plan", 10_00, per="year", key="{tenant}", unit="EUR", scale=2)

client = both_clients("observer")


@pytest.fixture
def budgets(app: Runner) -> Runner:
    """The app of the service, with a task that spends; declare it before the worker starts."""

    @app.task(limits=[USD, PLAN], cost={"usd": "cents", "plan": "cents"})
    async def spend(tenant: str, cents: int, really: int) -> None:
        current_job().settle("usd", really)
        current_job().settle("plan", really)

    return app


@pytest.fixture
def spending_worker(budgets: Runner, worker: Worker) -> Worker:
    return worker


async def spend(app: Runner, tenant: str, cents: int, really: int) -> None:
    job = await app.tasks["spend"].submit(tenant, cents, really)
    await job.result(timeout=30)


async def test_both_clients_tell_alike_what_was_spent_and_when_it_ends(client: AnyClient, budgets: Runner, spending_worker: Worker) -> None:
    await spend(budgets, "t1", 5_00, 12_34)
    await spend(budgets, "t2", 5_00, 66)
    await budgets.take("usd", cost=1_00)

    by_task = await client.spent("usd")
    assert [(row.name, row.tokens) for row in by_task.rows] == [("spend", 13_00), (None, 1_00)]
    by_key = await client.spent("plan", by="key", since="1d")
    assert [(row.name, row.tokens) for row in by_key.rows] == [("t1", 12_34), ("t2", 66)]
    by_day = await client.spent("usd", by="day", since=86_400)
    assert [row.name for row in by_day.rows] == [by_day.last.isoformat()]
    for asked in ({}, {"by": "day"}, {"since": "7d"}):
        assert await client.spent("usd", **asked) == await budgets.client.spent("usd", **asked)
    pace = await client.budget("usd")
    assert pace is not None
    assert (pace.left, pace.capacity, pace.unit) == (86_00, 100_00, USD.unit)
    assert pace.ends_at is not None  # seconds after the first start its pace is high

    assert list(spending_lines(by_task)) == [
        f"usd: 14.00 USD from {by_task.first} to {by_task.last}",
        "TASK               USD  SHARE",
        "spend            13.00  92.9%",
        "(without a job)   1.00  7.1%",
    ]
    shown = "\n".join(details(await budgets.client.control.show("usd"), datetime.now(UTC).timestamp(), pace))
    assert "quota, 100.00 USD/year (UTC)" in shown
    assert "86.00 of 100.00 USD" in shown
    assert "at the present pace (" in shown


async def test_what_cannot_be_told_is_refused_alike(client: AnyClient, budgets: Runner, spending_worker: Worker) -> None:
    with pytest.raises(UnknownLimit):
        await client.spent("none")
    with pytest.raises(UnknownLimit):
        await client.budget("none")
    for limit, options, said in (
        ("slow", {}, "is no budget"),
        ("usd", {"by": "key"}, "has no key"),
        ("usd", {"by": "tenant"}, "tenant"),
        ("usd", {"since": "100d"}, "62 days"),
        ("usd", {"since": "soon"}, "soon"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            await client.spent(limit, **options)
    for limit in ("slow", "plan"):
        with pytest.raises(ConfigurationError, match="is no budget of which the end can be told"):
            await client.budget(limit)


async def test_no_tenant_sees_what_was_spent_and_others_of_their_own_tasks(
    budgets: Runner, service: Service, spending_worker: Worker
) -> None:
    await spend(budgets, "t1", 5_00, 5_00)
    await budgets.take("usd", cost=1_00)
    producer = (await budgets.client.keys.create("p", preset="producer")).secret
    tenant = (await budgets.client.keys.create("t", preset="observer", tenant="t1")).secret
    for secret in (producer, tenant):
        answer = await service.http.get("/v1/limits/usd/spent", headers={"authorization": f"Bearer {secret}"})
        assert answer.status_code == 403
    of_tasks = (await budgets.client.keys.create("o", preset="observer", tasks=["add"])).secret
    async with HttpClient(service.url, key=of_tasks) as client:
        assert (await client.spent("usd")).rows == ()
        assert (await client.spent("usd", by="day")).total == 6_00


async def test_the_answer_has_tokens_and_their_unit(budgets: Runner, service: Service, spending_worker: Worker) -> None:
    await spend(budgets, "t1", 5_00, 5_00)
    today = datetime.now(UTC).date().isoformat()

    answer = (await service.http.get("/v1/limits/usd/spent?by=task&since=1")).json()

    assert answer == {
        "limit": "usd",
        "unit": "USD",
        "scale": 2,
        "by": "task",
        "first": today,
        "last": today,
        "total": 5_00,
        "rows": [{"name": "spend", "tokens": 5_00, "days": {today: 5_00}}],
    }
    policy = (await service.http.get("/v1/limits/usd")).json()["policy"]
    assert (policy["rate"], policy["unit"], policy["scale"]) == ("100.00 USD/year (UTC)", "USD", 2)


async def test_when_a_budget_ends_is_told_in_numbers_and_words(budgets: Runner, service: Service, spending_worker: Worker) -> None:
    await spend(budgets, "t1", 5_00, 5_00)

    answer = (await service.http.get("/v1/limits/usd/budget")).json()

    assert (answer["limit"], answer["unit"], answer["scale"], answer["left"], answer["capacity"]) == ("usd", "USD", 2, 95_00, 100_00)
    assert answer["says"].startswith("5.00 of 100.00 USD spent: at the present pace (")
    await budgets.client.control.pause("usd", "test")
    assert (await service.http.get("/v1/limits/usd/budget")).json() is None
    for name, status in (("slow", 422), ("none", 404)):
        assert (await service.http.get(f"/v1/limits/{name}/budget")).status_code == status


async def test_a_limit_that_was_read_is_not_read_again(client: AnyClient, budgets: Runner, spending_worker: Worker) -> None:
    status = await client.control.show("usd")
    pace = await client.budget(replace(status, buckets=[replace(status.buckets[0], tokens=1)]))
    assert pace is not None
    assert pace.left == 1
