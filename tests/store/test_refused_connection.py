"""A server that says why it closes a connection: Redis in protected mode, or with as many clients as it may have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runner import Client
from runner.errors import AccessRefused, StoreUnavailable

DENIED = (
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode"
    " connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of"
    " the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface.\r\n"
)
FULL = "-ERR max number of clients reached\r\n"


@asynccontextmanager
async def a_server_that_says(text: str) -> AsyncIterator[str]:
    """It closes each connection with this text, as Redis does before it reads anything."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.encode())
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("text", "error", "said"), [(DENIED, AccessRefused, "in protected mode"), (FULL, StoreUnavailable, "max number of clients reached")]
)
async def test_the_reason_of_the_server_is_shown(text: str, error: type[Exception], said: str) -> None:
    async with a_server_that_says(text) as url, Client("shop", redis_url=url) as client:
        for ask in (client.check, client.check, client.tasks, client.examine):
            with pytest.raises(error, match=said) as refused:
                await ask()
            assert len(str(refused.value)) < 500


async def test_a_server_that_says_nothing_is_as_away_as_before() -> None:
    async with a_server_that_says("") as url, Client("shop", redis_url=url) as client:
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"closed|reset|pipe"):
                await client.check()
