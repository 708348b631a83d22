"""Fixtures of the process tests: an app on the test's queue, and worker processes of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner.store.keys import Keys
from tests.process.apps import PATIENT, App
from tests.process.crew import Crew, crew_of


@pytest.fixture
async def app(redis: Redis, redis_url: str, queue: str, tmp_path: Path) -> AsyncIterator[App]:
    app = App(redis_url, queue, tmp_path, **PATIENT)
    yield app
    await app.runner.close()
    await redis.delete(Keys(queue).starts)


@pytest.fixture
async def crew(app: App, redis_url: str, queue: str, tmp_path: Path) -> AsyncIterator[Crew]:
    async with crew_of(redis_url, queue, tmp_path) as crew:
        yield crew
