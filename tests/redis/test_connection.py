"""The client that everything else stands on: a command is sent once, answered within its time, and ends when it is cancelled."""

import asyncio

import pytest

from runner.connection import connect, translated_errors
from runner.errors import StoreUnavailable
from runner.redis_client import command

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
