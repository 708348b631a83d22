"""The client that everything else stands on: a command is sent once, answered within its time, and ends when it is cancelled."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runner.connection import connect, translated_errors
from runner.connection.client import LARGE_LANE, command
from runner.errors import StoreUnavailable

MOST_STEPS = 40


@pytest.mark.parametrize("steps", range(MOST_STEPS))
async def test_a_command_cancelled_at_any_step_is_cancelled(redis_url: str, steps: int) -> None:
    client = connect(redis_url, timeout_s=5.0)
    await command(client, "PING")
    sent = asyncio.create_task(command(client, "BLPOP", "{test}:nothing", "0.2"))
    for _ in range(steps):
        await asyncio.sleep(0)

    sent.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sent
    await client.aclose()


async def test_a_command_without_an_answer_in_time_fails(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=0.05)

    with pytest.raises(StoreUnavailable), translated_errors():
        await command(client, "BLPOP", "{test}:nothing", "2")

    assert await command(client, "PING") == b"PONG"
    await client.aclose()


async def test_every_kind_of_word_arrives_as_it_was_sent(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=5.0)
    words = (b"\x00\r\n\xff", "täsk", "", "x" * 100_000, 1_700_000_000_000_000, -1, "two words")

    sent = [await command(client, "ECHO", word) for word in words]

    assert sent == [word if isinstance(word, bytes) else str(word).encode() for word in words]
    await client.aclose()


async def state_of(client: Redis, connection: int) -> str:
    """What the server says of another connection; nothing once that is gone."""
    rows: bytes = await command(client, "CLIENT", "LIST")
    return next((row for row in rows.decode().splitlines() if row.startswith(f"id={connection} ")), "")


async def test_commands_one_after_another_use_one_connection(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=5.0)

    ids = {await command(client, "CLIENT", "ID") for _ in range(5)}

    assert len(ids) == 1
    await client.aclose()


async def test_more_commands_at_once_than_connections_wait_their_turn(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=5.0)

    answers = await asyncio.gather(*(command(client, "ECHO", str(number)) for number in range(200)))

    assert answers == [str(number).encode() for number in range(200)]
    assert len({await command(client, "CLIENT", "ID") for _ in range(3)}) == 1
    await client.aclose()


async def test_an_answer_that_is_an_error_leaves_the_connection_in_use(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=5.0)
    before = await command(client, "CLIENT", "ID")

    with pytest.raises(ResponseError):
        await command(client, "EVALSHA", "no", "such")

    assert await command(client, "CLIENT", "ID") == before
    await client.aclose()


async def test_a_connection_closed_while_idle_is_replaced_without_an_error(redis_url: str) -> None:
    client, other = connect(redis_url, timeout_s=5.0), connect(redis_url, timeout_s=5.0)
    before = await command(client, "CLIENT", "ID")

    await command(other, "CLIENT", "KILL", "ID", before)
    await command(other, "PING")

    assert await command(client, "CLIENT", "ID") != before
    await other.aclose()
    await client.aclose()


async def test_a_cancelled_command_closes_its_connection(redis_url: str) -> None:
    client, other = connect(redis_url, timeout_s=5.0), connect(redis_url, timeout_s=5.0)
    before = await command(client, "CLIENT", "ID")
    sent = asyncio.create_task(command(client, "BLPOP", "{test}:nothing", "2"))
    while "cmd=blpop" not in await state_of(other, before):
        pass

    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent

    while await state_of(other, before):
        pass
    assert await command(client, "CLIENT", "ID") != before
    await other.aclose()
    await client.aclose()


async def test_after_an_error_of_one_connection_no_other_is_trusted(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=0.3)
    before = set(await asyncio.gather(*(command(client, "CLIENT", "ID") for _ in range(4))))

    with pytest.raises(StoreUnavailable), translated_errors():
        await command(client, "BLPOP", "{test}:nothing", "2")

    after = set(await asyncio.gather(*(command(client, "CLIENT", "ID") for _ in range(4))))
    assert not before & after
    await client.aclose()


async def test_a_long_answer_that_comes_in_pieces_is_whole(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=5.0)
    long = "x" * 3_000_000

    assert await command(client, "ECHO", long) == long.encode()
    assert await command(client, "PING") == b"PONG"
    await client.aclose()


async def test_a_turn_that_comes_to_a_cancelled_command_goes_to_the_next(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, other = connect(redis_url, timeout_s=5.0), connect(redis_url, timeout_s=5.0)
    most = client.connection_pool.max_connections - LARGE_LANE
    blocked = [asyncio.create_task(command(client, "BLPOP", "{test}:turn", "1")) for _ in range(most)]
    while (await command(other, "CLIENT", "LIST")).count(b"cmd=blpop") < most:
        pass
    waiting = [asyncio.create_task(command(client, "PING")) for _ in range(2)]
    await asyncio.sleep(0)
    hand_on = client._lane.hand_on

    def cancel_who_is_next(connection: Any) -> None:
        hand_on(connection)
        waiting[0].cancel()

    monkeypatch.setattr(client._lane, "hand_on", cancel_who_is_next)
    await command(other, "RPUSH", "{test}:turn", "x")

    assert await asyncio.wait_for(waiting[1], 0.5) == b"PONG"
    await asyncio.gather(*blocked, return_exceptions=True)
    assert waiting[0].cancelled()
    assert await asyncio.gather(*(command(client, "PING") for _ in range(2 * most))) == [b"PONG"] * 2 * most
    await other.aclose()
    await client.aclose()


async def test_a_command_whose_connection_is_cut_fails_at_once(redis_url: str) -> None:
    client, other = connect(redis_url, timeout_s=30.0), connect(redis_url, timeout_s=5.0)
    own = await command(client, "CLIENT", "ID")
    sent = asyncio.create_task(command(client, "BLPOP", "{test}:nothing", "20"))
    while "cmd=blpop" not in await state_of(other, own):
        pass

    await command(other, "CLIENT", "KILL", "ID", own)

    with pytest.raises(StoreUnavailable, match="the server has closed the connection"), translated_errors():
        await asyncio.wait_for(sent, 2.0)
    assert await command(client, "PING") == b"PONG"
    await other.aclose()
    await client.aclose()
