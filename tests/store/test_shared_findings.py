"""What doctor finds about the home of shared limits: whether it answers, and what the way to it costs."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from runner.connection import command
from runner.limits import Limit, Quota, SlidingWindow, TokenBucket
from runner.settings import Settings
from runner.store import Home, Level, examine_home
from tests.leftovers import keys_of
from tests.servers import free_port
from tests.topologies import queue_name

FINE: list[Limit] = [
    TokenBucket("fast", rate="1000/s", burst=100),
    TokenBucket("slow", rate="1/s", burst=1),
    SlidingWindow("long", 60, per=60),
    Quota("month", 100, per="month"),
]


@pytest.fixture
async def home(redis: Redis, redis_url: str) -> AsyncIterator[Home]:
    opened = Home(redis_url, queue_name(), Settings())
    yield opened
    await opened.close()
    if keys := await keys_of(redis, opened.keys.queue):
        await redis.delete(*keys)


async def warnings(home: Home, *limits: Limit) -> list[str]:
    """What is found, but for what the server of the tests is not set up for."""
    found = await examine_home(home, list(limits))
    assert {finding.check for finding in found} == {"shared limits"}
    return [finding.text for finding in found if " has a " in finding.text]


async def test_the_way_to_the_home_costs_limits_with_room_for_it_nothing(home: Home) -> None:
    assert not await warnings(home, *FINE)


async def test_limits_that_lose_a_part_of_their_rate_are_named_with_what_they_need(home: Home) -> None:
    small, short = await warnings(home, TokenBucket("small", rate="10000/s", burst=20), SlidingWindow("short", 5, per=0.05), *FINE)
    assert small.startswith("limit small has a burst of 20, and the home limits.")
    assert "a part of its rate is lost" in small
    assert short.startswith("limit short has a window of 0.05 s, and the home limits.")
    assert "% of its rate is lost; a TokenBucket with a burst loses none" in short


async def test_a_home_that_cannot_be_reached_is_an_error_that_names_the_setting() -> None:
    nobody = Home(f"redis://127.0.0.1:{free_port()}/0", "away", Settings(command_timeout_s=1))
    (found,) = await examine_home(nobody, FINE)
    await nobody.close()
    assert found.level is Level.error
    assert found.text.startswith("the home limits.away of shared limits cannot be reached (")
    assert found.text.endswith("their jobs wait; check RUNNER_SHARED_URL")


async def test_a_home_that_this_user_may_not_use_is_an_error(redis: Redis, redis_url: str) -> None:
    user = queue_name()
    await command(redis, "ACL", "SETUSER", user, "on", ">secret", "+@all", "~runner:{elsewhere}:*")
    address = urlsplit(redis_url)
    try:
        stranger = Home(address._replace(netloc=f"{user}:secret@{address.netloc}").geturl(), "acme", Settings())
        (found,) = await examine_home(stranger, FINE)
        await stranger.close()
    finally:
        await command(redis, "ACL", "DELUSER", user)
    assert found.level is Level.error
    assert found.text.startswith("the home limits.acme of shared limits may not be used by this user: ")
