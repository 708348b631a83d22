"""Which answers of a real server mean "try again later"."""

import pytest
from redis.exceptions import ResponseError

from runner.connection import connect, translated_errors
from runner.connection.client import command
from runner.connection.error_translation import is_transient
from runner.errors import StoreFull, StoreUnavailable
from tests.servers import Server


async def test_a_full_memory_is_no_reason_to_give_up(private_server: Server) -> None:
    client = connect(private_server.url, timeout_s=5.0)
    await command(client, "CONFIG", "SET", "maxmemory", "1")

    with pytest.raises(StoreFull, match="no memory left"), translated_errors():
        await command(client, "SET", "{test}:key", "value")

    await client.aclose()


async def test_a_replica_that_may_not_write_is_no_reason_to_give_up(private_server: Server) -> None:
    client = connect(private_server.url, timeout_s=5.0)
    await command(client, "REPLICAOF", "127.0.0.1", "1")

    with pytest.raises(StoreUnavailable), translated_errors():
        await command(client, "SET", "{test}:key", "value")

    await client.aclose()


SCRIPT_THAT_WRITES = "redis.call('SET', KEYS[1], 1)"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "no memory left"),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), "NOREPLICAS"),
        (("REPLICAOF", "127.0.0.1", "1"), "read only replica"),
    ],
)
async def test_what_a_script_may_not_write_now_it_may_later(private_server: Server, words: tuple[str, ...], answer: str) -> None:
    """Redis 6.2 wraps the answer in a text of its own."""
    client = connect(private_server.url, timeout_s=5.0)
    await command(client, *words)

    with pytest.raises(StoreUnavailable, match=answer), translated_errors():
        await command(client, "EVAL", SCRIPT_THAT_WRITES, 1, "{test}:key")

    await client.aclose()


async def test_a_script_that_is_wrong_is_not_worth_repeating(private_server: Server) -> None:
    client = connect(private_server.url, timeout_s=5.0)

    with pytest.raises(ResponseError), translated_errors():
        await command(client, "EVAL", "redis.call('INCRBY', KEYS[1], 'x')", 1, "{test}:key")

    await client.aclose()


async def test_a_command_that_is_wrong_is_not_worth_repeating(private_server: Server) -> None:
    client = connect(private_server.url, timeout_s=5.0)
    await command(client, "SET", "{test}:key", "value")

    with pytest.raises(ResponseError) as raised, translated_errors():
        await command(client, "SETEX", "{test}:key", "soon", "value")

    assert not is_transient(raised.value)
    await client.aclose()


@pytest.mark.parametrize(
    "answer", ["LOADING Redis is loading", "UNBLOCKED force unblock", "NOREPLICAS", "MISCONF", "BUSY", "NOGROUP No such key"]
)
def test_answers_known_only_by_their_first_word_are_transient(answer: str) -> None:
    assert is_transient(ResponseError(answer))
