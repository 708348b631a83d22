"""A TCP proxy before a server: it loses the reply of a chosen command, holds a command back, delays, cuts, freezes, or trickles.

async with Proxy(server.url) as proxy:      # clients use proxy.url
    proxy.lose_reply_of("EVALSHA", sha)     # executed; instead of its reply the connection ends
    proxy.throttle(500_000)                 # a line of 4 Mbit/s each way, which all connections share
    proxy.black_hole(); proxy.heal()        # a network that falls silent and comes back: what was sent arrives late
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65536
_TICK_S = 0.01
_LEAST_PIECE = 512
SMALL_BUFFER = 8_192
"""For a throttled line: otherwise a proxy swallows megabytes before it passes them on, and to the client no line seems slow."""


class _Link:
    """One client's connection and its own connection to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.commands: set[bytes] = set()
        self.frozen = False
        self.loses_reply = False

    def cut(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class _Line:
    """One direction of a slow line. Those who use it at the same time take turns, piece by piece."""

    def __init__(self) -> None:
        self.bytes_per_s = 0.0
        self._turn = asyncio.Lock()
        self._free_s = 0.0

    @property
    def piece(self) -> int:
        return max(int(self.bytes_per_s * _TICK_S), _LEAST_PIECE)

    async def carry(self, size: int) -> None:
        """Return when a piece of this size has reached the other end."""
        async with self._turn:
            if not self.bytes_per_s:
                return
            now_s = asyncio.get_running_loop().time()
            self._free_s = max(self._free_s, now_s) + size / self.bytes_per_s
            await asyncio.sleep(self._free_s - now_s)


class Proxy:
    """Passes bytes between clients and the server at `url`; what it does besides is told by its methods.

    `buffer_bytes`: about how much it takes in of a connection before it has passed it on.
    """

    def __init__(self, url: str, *, buffer_bytes: int | None = None) -> None:
        self._target = urlsplit(url)
        self._buffer_bytes = buffer_bytes
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._condition: Callable[[bytes], bool] | None = None
        self._kept_bytes = 0
        self._late: Callable[[bytes], bool] | None = None
        self._release = asyncio.Event()
        self._passable = asyncio.Event()
        self._passable.set()
        self._ended: set[asyncio.StreamWriter] = set()
        self._delay_s = 0.0
        self._trickles = False
        self._refuses = False
        self._there, self._back = _Line(), _Line()
        self._listener: asyncio.Server | None = None
        self._accepting: set[asyncio.Future[None]] = set()
        self._is_over = False
        self.passed: Counter[str] = Counter()
        self.carried = 0
        """Bytes that came through to the server."""
        self.lost_replies = 0
        self.held_commands = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        bound = socket.socket()
        if self._buffer_bytes:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)  # those it accepts have the same
        bound.bind(("127.0.0.1", 0))
        self._listener = await asyncio.start_server(self._accept, sock=bound, limit=self._buffer_bytes or CHUNK)
        self.url = f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_over = True
        if self._listener is not None:
            self._listener.close()
        self.cut_connections()
        self._release.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._accepting, return_exceptions=True)

    # One command

    def lose_reply_of(self, *words: str, keep: int = 0) -> None:
        """The next command that contains all these words is executed; after `keep` bytes of its reply the connection ends."""
        self._condition, self._kept_bytes = _contains(words), keep

    def hold(self, *words: str) -> None:
        """The next command that contains all these words does not reach the server before `release`, though its client be gone."""
        self._late = _contains(words)

    def release(self) -> None:
        """Let the held command go to the server."""
        self._release.set()

    # Connections that exist

    def cut_connections(self) -> None:
        """Reset every connection there is."""
        for link in list(self._links):
            link.cut()

    def freeze_connections(self, command: str | None = None) -> int:
        """Nothing passes any more on the connections that ever sent this command, or on any; neither side sees an end. How many those are."""
        frozen = [link for link in self._links if command is None or command.encode() in link.commands]
        for link in frozen:
            link.frozen = True
        return len(frozen)

    def half_close_connections(self) -> int:
        """Clients see the end of what the server says, and can still speak: what they send is executed. How many connections."""
        links = [link for link in self._links if not link.client.transport.is_closing()]
        for link in links:
            self._ended.add(link.client)
            link.client.write_eof()
        return len(links)

    # The network from now on

    def delay(self, seconds: float) -> None:
        """Every command and every reply takes so long; 0 is prompt again."""
        self._delay_s = seconds

    def throttle(self, bytes_per_s: float) -> None:
        """All connections together carry so much each way; 0 is no bound."""
        self._there.bytes_per_s = self._back.bytes_per_s = bytes_per_s

    def trickle(self, *, on: bool = True) -> None:
        """Everything passes one byte at a time."""
        self._trickles = on

    def refuse_connections(self, *, on: bool = True) -> None:
        """Who connects is reset at once."""
        self._refuses = on

    def black_hole(self) -> None:
        """Nothing passes, on old and new connections, and neither side sees an end. What is sent arrives after `heal`."""
        self._passable.clear()

    def heal(self) -> None:
        """The end of delays, throttling, trickling, refusals and of the black hole."""
        self.throttle(0)
        self._delay_s, self._trickles, self._refuses = 0.0, False, False
        self._passable.set()

    async def _accept(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        over = asyncio.get_running_loop().create_future()
        self._accepting.add(over)
        try:
            await self._link(client_in, client_out)
        finally:
            over.set_result(None)
            self._accepting.discard(over)

    async def _link(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        try:
            if self._refuses:
                raise ConnectionRefusedError
            server_in, server_out = await self._connect()
        except OSError:
            client_out.transport.abort()
            return
        link = _Link(client_out, server_out)
        if self._is_over:
            link.cut()
            return
        self._links.add(link)
        tasks = [
            asyncio.create_task(self._forward(link, client_in)),
            asyncio.create_task(self._answer(link, server_in)),
        ]
        self._tasks.update(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not link.frozen:
            # A command that is held back still goes to the server, and its reply to nobody.
            client_out.transport.abort()
            await asyncio.wait(tasks)
            server_out.transport.abort()
            self._links.discard(link)
        for task in tasks:
            if task.done():
                self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(self._target.path)
        return await asyncio.open_connection(self._target.hostname, self._target.port)

    async def _forward(self, link: _Link, client: asyncio.StreamReader) -> None:
        while command := await _read(client):
            if link.frozen:
                continue
            link.commands.add(_name(command))
            self.passed[_name(command).decode(errors="replace")] += 1
            if self._condition is not None and self._condition(command):
                self._condition, link.loses_reply = None, True
            if self._late is not None and self._late(command):
                self._late = None
                self.held_commands += 1
                await self._release.wait()
            await self._pass(command, link.server, self._there)
            self.carried += len(command)
        if not link.server.transport.is_closing() and link.server.can_write_eof():
            link.server.write_eof()

    async def _answer(self, link: _Link, server: asyncio.StreamReader) -> None:
        while reply := await _read(server):
            if link.loses_reply:
                self.lost_replies += 1
                link.client.write(reply[: self._kept_bytes])
                await asyncio.sleep(0)
                link.cut()
                return
            if not link.frozen:
                await self._pass(reply, link.client, self._back)

    async def _pass(self, data: bytes, to: asyncio.StreamWriter, line: _Line) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        at = 0
        while at < len(data):
            length = 1 if self._trickles else line.piece if line.bytes_per_s else len(data)
            piece, at = data[at : at + length], at + length
            if line.bytes_per_s:
                await line.carry(len(piece))
            await self._passable.wait()
            if not to.is_closing() and to not in self._ended:
                to.write(piece)
            if self._trickles:
                await asyncio.sleep(0)


def _name(command: bytes) -> bytes:
    """The first word of a command as it is sent: an array of strings with their lengths."""
    return command.split(b"\r\n", 3)[2] if command.count(b"\r\n") > 2 else b""


def _contains(words: tuple[str, ...]) -> Callable[[bytes], bool]:
    encoded = [word.encode() for word in words]
    return lambda command: all(word in command for word in encoded)


async def _read(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.read(CHUNK)
    except OSError:
        return b""
