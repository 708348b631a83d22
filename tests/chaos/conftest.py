"""Fixtures of the campaign's accounts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.chaos.campaign.books import Books
from tests.chaos.campaign.ledger import KEYS


@pytest.fixture
async def books(redis: Redis, tmp_path: Path) -> AsyncIterator[Books]:
    await redis.delete(KEYS.history, KEYS.starts)
    yield Books(redis, tmp_path)
    await redis.delete(KEYS.history, KEYS.starts)
