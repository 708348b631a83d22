"""A warning of a budget reaches a hook although the worker that was telling it, which leads, is killed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.connection.client import command
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.process.apps import PATIENT
from tests.process.budget_app import BUDGET, BudgetApp
from tests.process.crew import Crew

WHOLE_LIFE_S = 120.0
"""A process is started, and does what it is to do."""


@pytest.fixture
async def app(redis: Redis, redis_url: str, queue: str, tmp_path: Path) -> AsyncIterator[BudgetApp]:
    app = BudgetApp(redis_url, queue, tmp_path, command_timeout_s=PATIENT["command_timeout_s"])
    yield app
    await app.runner.close()
    await redis.delete(Keys(queue).starts)


@pytest.mark.every_server
@pytest.mark.parametrize("where", ["in the hook", "warnings:before=exit", "warnings:after=exit"])
async def test_a_warning_whose_worker_is_killed_is_told_by_another(
    app: BudgetApp, crew: Crew, redis: Redis, queue: str, where: str
) -> None:
    await app.runner.take(BUDGET, cost=8_50)
    in_hook = where == "in the hook"
    first = await crew.launch(app="BudgetApp", dies=in_hook, failpoints=None if in_hook else where)
    await first.ended(WHOLE_LIFE_S)
    before = app.told_of
    assert len(before) == in_hook

    (warning,) = await command(redis, "ZRANGE", Keys(queue).warnings, 0, -1)
    await command(redis, "ZADD", Keys(queue).warnings, 1, warning)  # its time comes in half a minute: not waited for here
    await crew.launch(app="BudgetApp")
    await eventually(lambda: app.told_of == [*before, warning.decode()], WHOLE_LIFE_S)
    await eventually(lambda: no_more(redis, queue))


async def no_more(redis: Redis, queue: str) -> bool:
    return not await redis.exists(Keys(queue).warnings)
