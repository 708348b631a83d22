"""The fault proxy, before a server that answers every command with `+` and the command's words: each fault as its client sees it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.eventually import eventually
from tests.proxy import Proxy

PATIENCE_S = 0.05


class EchoServer:
    """Remembers what it was sent, in order."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                self.received.append(line)
                writer.write(b"+" + line)
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    echo = EchoServer()
    listener = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield echo
    listener.close()
    await asyncio.sleep(0)


class Client:
    """Sends lines and reads lines; `ask` gives None when no answer comes in time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, line: bytes) -> None:
        self.writer.write(line)

    async def answer(self, within_s: float = 2.0) -> bytes | None:
        """A line, b"" at the end of the connection, None if nothing comes."""
        try:
            async with asyncio.timeout(within_s):
                return await self.reader.readline()
        except TimeoutError:
            return None
        except OSError:
            return b""

    async def ask(self, line: bytes, within_s: float = 2.0) -> bytes | None:
        self.send(line)
        return await self.answer(within_s)


@asynccontextmanager
async def client_of(proxy: Proxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.url).port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


@pytest.fixture
async def proxy(server: EchoServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    async with client_of(proxy) as client:
        assert await client.ask(b"hello\n") == b"+hello\n"
        yield client


async def test_a_reply_is_lost_after_its_command_was_executed(proxy: Proxy, server: EchoServer, client: Client) -> None:
    proxy.lose_reply_of("SET", "x")
    assert await client.ask(b"GET x\n") == b"+GET x\n"

    assert await client.ask(b"SET x\n") == b""

    assert server.received[-1] == b"SET x\n"
    assert proxy.lost_replies == 1
    async with client_of(proxy) as another:
        assert await another.ask(b"SET x\n") == b"+SET x\n"


async def test_a_reply_can_be_torn_in_its_middle(proxy: Proxy, client: Client) -> None:
    proxy.lose_reply_of("SET", keep=3)

    assert await client.ask(b"SET x\n") == b"+SE"


async def test_a_held_command_arrives_when_its_client_is_gone(proxy: Proxy, server: EchoServer, client: Client) -> None:
    proxy.hold("SET")
    assert await client.ask(b"SET x\n", PATIENCE_S) is None
    client.writer.transport.abort()
    assert server.received == [b"hello\n"]

    proxy.release()

    await eventually(lambda: server.received == [b"hello\n", b"SET x\n"])


async def test_cut_connections_end_and_new_ones_work(proxy: Proxy, client: Client) -> None:
    proxy.cut_connections()

    assert await client.answer() == b""
    async with client_of(proxy) as another:
        assert await another.ask(b"GET\n") == b"+GET\n"


async def test_a_frozen_connection_says_nothing_for_ever(proxy: Proxy, server: EchoServer, client: Client) -> None:
    assert proxy.freeze_connections() == 1

    assert await client.ask(b"GET\n", PATIENCE_S) is None
    assert server.received == [b"hello\n"]


async def test_a_half_closed_connection_ends_for_the_reader_and_still_executes(proxy: Proxy, server: EchoServer, client: Client) -> None:
    assert proxy.half_close_connections() == 1
    assert await client.answer() == b""

    client.send(b"SET x\n")

    await eventually(lambda: server.received == [b"hello\n", b"SET x\n"])


async def test_a_delay_slows_commands_and_replies(proxy: Proxy, client: Client) -> None:
    proxy.delay(0.05)
    began_s = asyncio.get_running_loop().time()

    assert await client.ask(b"GET\n") == b"+GET\n"

    assert asyncio.get_running_loop().time() - began_s >= 0.099


async def test_trickled_bytes_arrive_one_by_one_and_all(proxy: Proxy, client: Client) -> None:
    proxy.trickle()
    client.send(b"GET x\n")

    pieces = [await client.reader.read(100)]
    while not b"".join(pieces).endswith(b"\n"):
        pieces.append(await client.reader.read(100))

    assert b"".join(pieces) == b"+GET x\n"
    assert len(pieces) > 1


async def test_what_is_sent_into_a_black_hole_arrives_late(proxy: Proxy, server: EchoServer, client: Client) -> None:
    proxy.black_hole()
    assert await client.ask(b"SET x\n", PATIENCE_S) is None
    async with client_of(proxy) as another:
        assert await another.ask(b"SET y\n", PATIENCE_S) is None
    assert server.received == [b"hello\n"]

    proxy.heal()

    assert await client.answer() == b"+SET x\n"
    await eventually(lambda: b"SET y\n" in server.received)  # though nobody waits for it


async def test_refused_connections_end_at_once_until_it_heals(proxy: Proxy, client: Client) -> None:
    proxy.refuse_connections()
    async with client_of(proxy) as another:
        assert await another.ask(b"GET\n") == b""
    assert await client.ask(b"GET\n") == b"+GET\n"

    proxy.heal()

    async with client_of(proxy) as another:
        assert await another.ask(b"GET\n") == b"+GET\n"
