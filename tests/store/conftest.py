"""Fixtures of the script tests: a clock that only moves when told, and a store that reads it."""

from collections.abc import AsyncIterator

import pytest

from runner.store.job_store import JobStore
from tests.store.builders import Clock, make_store
from tests.store.inside import inconsistencies


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(redis_url: str, queue: str, clock: Clock) -> AsyncIterator[JobStore]:
    """A store on the test's queue; afterwards lines, buckets and wakes must fit together."""
    opened = make_store(redis_url, queue, clock)
    yield opened
    wrong = await inconsistencies(opened)
    await opened.close()
    assert not wrong, f"lines and wakes do not fit together: {wrong}"
