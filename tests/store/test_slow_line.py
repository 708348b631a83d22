"""Slow lines: what is large arrives or is refused with the numbers, a server that stops is noticed all the same, and small ones go past."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any

import pytest

from runner.clock import monotonic_s
from runner.connection import connect, translated_errors
from runner.connection.client import LARGE_LANE, RedisClient, command
from runner.connection.lane import NoFreeConnection
from runner.connection.progress import TooSlow
from runner.errors import StoreUnavailable
from tests.proxy import SMALL_BUFFER, Proxy

TIMEOUT_S = 0.4
MBIT = 125_000
"""Bytes a second."""


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url, buffer_bytes=SMALL_BUFFER) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[RedisClient]:
    client = connect(proxy.url, timeout_s=TIMEOUT_S)
    await asyncio.gather(command(client, "PING"), client.execute_command("PING", is_large=True))
    yield client
    await client.aclose()


async def lasted(call: Awaitable[Any]) -> float:
    began_s = monotonic_s()
    with suppress(TimeoutError):
        await call
    return monotonic_s() - began_s


@pytest.mark.parametrize(("line", "size"), [(48 * MBIT, 10_000_000), (4 * MBIT, 1_000_000)], ids=["48 Mbit/s", "4 Mbit/s"])
async def test_a_command_that_takes_many_time_outs_to_send_arrives(client: RedisClient, proxy: Proxy, line: int, size: int) -> None:
    proxy.throttle(line)

    took_s = await lasted(sent := asyncio.create_task(command(client, "ECHO", b"x" * size)))

    assert len(sent.result()) == size
    assert took_s > 2 * TIMEOUT_S


async def test_an_answer_that_takes_many_time_outs_to_come_arrives(client: RedisClient, proxy: Proxy) -> None:
    script = "return string.rep('x', tonumber(ARGV[1]))"
    proxy.throttle(8 * MBIT)

    took_s = await lasted(sent := asyncio.create_task(command(client, "EVAL", script, 0, 3_000_000)))

    assert len(sent.result()) == 3_000_000
    assert took_s > 5 * TIMEOUT_S


@pytest.mark.parametrize("line", [MBIT / 4, MBIT, 4 * MBIT, 48 * MBIT], ids=["0.25 Mbit/s", "1 Mbit/s", "4 Mbit/s", "48 Mbit/s"])
async def test_small_commands_go_past_a_large_one(client: RedisClient, proxy: Proxy, line: float) -> None:
    proxy.throttle(line)
    large = [asyncio.create_task(command(client, "ECHO", b"x" * 10_000_000)) for _ in range(LARGE_LANE + 1)]

    for number in range(20):
        assert await command(client, "ECHO", str(number)) == str(number).encode()

    assert not any(one.done() for one in large[LARGE_LANE:])
    for one in large:
        one.cancel()
    await asyncio.gather(*large, return_exceptions=True)


async def test_a_line_slower_than_the_slowest_is_refused_with_the_numbers_and_suspects_nobody(client: RedisClient, proxy: Proxy) -> None:
    epoch = client._pool.connection_kwargs["locator"].epoch
    proxy.throttle(MBIT)

    with pytest.raises(StoreUnavailable, match=r"too slow: .* of 10000.* at least 256 kB/s") as refused, translated_errors():
        await command(client, "ECHO", b"x" * 10_000_000)

    assert isinstance(refused.value.__cause__, TooSlow)
    assert client._pool.connection_kwargs["locator"].epoch == epoch


async def test_a_server_that_stops_in_the_middle_is_noticed_in_time(client: RedisClient, proxy: Proxy) -> None:
    proxy.throttle(8 * MBIT)
    sent = asyncio.create_task(command(client, "ECHO", b"x" * 10_000_000))
    await asyncio.sleep(2 * TIMEOUT_S)
    assert not sent.done()

    proxy.black_hole()

    assert await lasted(sent) < 3 * TIMEOUT_S
    assert type(sent.exception()) is TimeoutError


async def test_a_small_command_is_given_up_after_one_time_out(client: RedisClient, proxy: Proxy) -> None:
    proxy.black_hole()

    assert TIMEOUT_S * 0.9 < await lasted(command(client, "PING")) < 2 * TIMEOUT_S


async def test_a_time_out_begins_when_the_command_is_sent_and_not_while_it_waits_in_line(client: RedisClient, proxy: Proxy) -> None:
    most = client._pool.max_connections - LARGE_LANE
    await asyncio.gather(*(command(client, "PING") for _ in range(most)))
    proxy.delay(TIMEOUT_S / 4)

    answers = await asyncio.gather(*(command(client, "ECHO", number) for number in range(5 * most)))

    assert answers == [str(number).encode() for number in range(5 * most)]


async def test_a_command_that_finds_no_free_connection_says_so(client: RedisClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.connection.lane._PATIENCE", 0.5)
    script = "return string.rep('x', tonumber(ARGV[1]))"
    proxy.throttle(4 * MBIT)
    large = [asyncio.create_task(client.execute_command("EVAL", script, 0, 10_000_000, is_large=True)) for _ in range(LARGE_LANE)]
    await asyncio.sleep(0)

    with pytest.raises(NoFreeConnection, match=r"no free connection in 0\.2 s: all 2 are in use"):
        await client.execute_command("PING", is_large=True)

    assert await command(client, "PING") == b"PONG"
    for one in large:
        one.cancel()
    await asyncio.gather(*large, return_exceptions=True)


async def test_those_in_line_learn_together_that_no_connection_opens(redis_url: str) -> None:
    async with Proxy(redis_url, buffer_bytes=SMALL_BUFFER) as proxy:
        client = connect(proxy.url, timeout_s=TIMEOUT_S)
        proxy.black_hole()
        most = client._pool.max_connections - LARGE_LANE

        took_s = await lasted(asyncio.gather(*(command(client, "PING") for _ in range(10 * most)), return_exceptions=True))

        assert took_s < 5 * TIMEOUT_S
        await client.aclose()
