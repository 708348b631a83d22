"""BoundedProtocol: a connection of the server in which nothing is without end: the bytes of a head, and the time for anything the caller does.

uvicorn bounds neither. What it cannot read it answers as plain text; here that is a problem, as every other error.
"""

import asyncio
from enum import Enum
from http import HTTPStatus
from typing import Any, cast

import httptools
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from runner.http.connections import Connections
from runner.http.guarded_app import REFUSED
from runner.http.plain_head import plain_head
from runner.http.problems import MEDIA_TYPE, Problem
from runner.http.read_in_turns import ReadInTurns

MOST_HEAD_BYTES = 64 * 1024
MOST_FIELDS = 100
MOST_BESIDE_A_BYTE = 8
"""Bytes that may come with a byte of a body, over and above as many as a head may have; a chunk of one byte has five."""
MOST_PIPELINED = 50
"""Requests that are sent before the answer to the first; hundreds fit into one packet."""
HEAD_S = 10.0
"""For the first line and the fields of a request, from the opening of the connection or the first byte on."""
IDLE_S = 15.0
"""Between two requests. uvicorn closes after 5 s of silence; bytes that are no request end that time, and not this one."""
LINGER_S = 2.0
"""What comes after a refusal is read for this time, and thrown away: a connection that is closed before takes the answer with it."""
STALL_S = 10.0
"""A body that comes, or an answer that goes, moves by `SLOWEST_BYTES_PER_S` on average, after this time at the latest."""
SLOWEST_BYTES_PER_S = 32 * 1024


class Phase(Enum):
    """What the next byte of the caller belongs to."""

    idle = "idle"
    head = "head"
    body = "body"


class BoundedProtocol(ReadInTurns):
    """One connection. `check` is called about once a second: a timer for each connection would cost every request."""

    def __init__(self, *arguments: Any, bounds: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bounds = bounds
        self._phase = Phase.head
        self._began_s = 0.0
        """When the caller's turn began; for a body, when its bytes would have been due had they come at the slowest rate."""
        self._head_bytes = 0
        """Bytes of which some belong to the head that comes."""
        self._body_bytes = self._beside_bytes = 0
        """Of the body that comes, and of what comes with it: sizes and extensions of chunks, trailing fields."""
        self._plain_head: bytes | None = None
        """Of a request that would go on in another protocol: its head without that, to be read in its place."""
        self._unsent_bytes, self._unsent_s = 0, 0.0
        self._served: RequestResponseCycle | None = None
        """The request that the app works on; `cycle` is the latest one that came."""
        self._problem: Problem | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._began_s = self.loop.time()
        if not self._bounds.admit(self, self.client[0] if self.client else None, self._began_s):
            self._close_with(Problem("busy", "the service has as many connections as it may have"))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._bounds.remove(self)
        self._leave_requests()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close at once: a newer connection takes the place."""
        self._leave_requests()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def put_off(self) -> None:
        self._bounds.is_served(self)

    def caught_up(self) -> None:
        if self._phase is not Phase.idle or self.cycle.response_complete:
            self._bounds.waits_for_caller(self, self._began_s, is_known=self.is_known)

    def read(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._head_bytes += len(data)
        before, cycle, body_bytes = self._phase, self.cycle, self._body_bytes
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._close_with(self._problem or Problem("malformed-request", "the connection carries no request of HTTP/1.1"))
            return
        if self._phase is not before and self._phase is not Phase.idle:
            self._bounds.waits_for_caller(self, self._began_s, is_known=self.is_known)
        if self._phase is Phase.head:
            # The parser tells a field once it is whole. The bytes in which a head begins may belong to what was before it.
            if self._head_bytes > MOST_HEAD_BYTES + len(data):
                self._close_with(_too_large())
        elif self._phase is Phase.body:
            self._began_s = min(self._began_s + len(data) / SLOWEST_BYTES_PER_S, self.loop.time())
            if before is Phase.body and cycle is self.cycle:
                self._beside_bytes += len(data) - (self._body_bytes - body_bytes)
                if self._beside_bytes > MOST_HEAD_BYTES + MOST_BESIDE_A_BYTE * self._body_bytes:
                    self._close_with(_too_large("what comes with the body, as trailing fields and extensions of chunks,"))

    def _parse(self, data: bytes) -> None:
        """Raises `HttpParserError`."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as other:
            head, self._plain_head = self._plain_head, None
            if head is not None:
                self.parser = httptools.HttpRequestParser(self)
                self._parse(head + data[other.args[0] :])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase, self._began_s = Phase.head, self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        # uvicorn takes what trails a body for fields of the head: a caller could say there what a proxy takes out of heads.
        if self._phase is Phase.head:
            if len(self.headers) >= MOST_FIELDS:
                self._refuse(_too_many_fields())
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        fields, hosts = self.headers, 0
        for field in fields:
            hosts += field[0] == b"host"
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            self._refuse(Problem("malformed-request", f"the request has {hosts} fields Host: send one"))
        if self._head_bytes > MOST_HEAD_BYTES and len(self.url) + sum(len(name) + len(value) for name, value in fields) > MOST_HEAD_BYTES:
            self._refuse(_too_large())
        self._head_bytes = 0
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse(Problem("busy", f"more than {MOST_PIPELINED} requests wait for their answers on one connection"))
        method = self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT":
            self._plain_head = plain_head(method, self.url, self.parser.get_http_version(), fields)
            return
        self._phase, self._began_s = Phase.body, self.loop.time()
        self._body_bytes = self._beside_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._plain_head is not None:
            return  # the same head comes again
        super().on_message_complete()
        self._phase, self._head_bytes = Phase.idle, 0
        if self.cycle.response_complete:
            self._wait()
        else:
            self._bounds.is_served(self)

    def on_response_complete(self) -> None:
        if self._served is not None and REFUSED not in self._served.scope:
            self.is_known = True
        super().on_response_complete()
        if self._phase is Phase.idle and self.cycle.response_complete:
            self._wait()

    def check(self, now_s: float) -> None:
        """Close the connection if its caller takes longer than it may."""
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        if self._answer_stalls(now_s):
            self._leave_requests()
            self.transport.abort()
            return
        if self._unread:
            self._began_s = now_s  # the service itself does not read on
        waited_s = now_s - self._began_s
        if self._is_refused:
            if waited_s > LINGER_S:
                self.transport.abort()
        elif self._phase is Phase.head:
            if waited_s > HEAD_S:
                self._close_with(Problem("request-timeout", f"the head of the request took longer than {HEAD_S:g} s"))
        elif self._phase is Phase.body:
            if self.flow.read_paused:
                self._began_s = now_s  # the service itself does not read on
            elif waited_s > STALL_S:
                self._close_with(Problem("request-timeout", f"the body came slower than {SLOWEST_BYTES_PER_S} bytes a second"))
        elif waited_s > IDLE_S and self.cycle.response_complete:
            self.transport.close()

    def _answer_stalls(self, now_s: float) -> bool:
        """Whether the caller has not taken what it was sent, for too long."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or not self._unsent_bytes:
            self._unsent_bytes, self._unsent_s = unsent, now_s
        elif now_s - self._unsent_s > STALL_S:
            if self._unsent_bytes - unsent < SLOWEST_BYTES_PER_S * STALL_S:
                return True
            self._unsent_bytes, self._unsent_s = unsent, now_s
        return False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def _leave_requests(self) -> None:
        """Nothing more is sent here. An answer that a request still gets would be written to a closed connection, which is an error."""
        self._unread = b""
        self.pipeline.clear()
        for cycle in (self._served, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _wait(self) -> None:
        self._began_s = self.loop.time()
        self._bounds.waits_for_caller(self, self._began_s, is_known=self.is_known)

    def _refuse(self, problem: Problem) -> None:
        """Stop the parser, which calls this."""
        self._problem = problem
        raise problem

    def _close_with(self, problem: Problem) -> None:
        """Answer a request that never reaches the app, unless an answer is under way, and close."""
        if self.transport.is_closing() or self._is_refused:
            return
        served = self._served if self._served is not None and not self._served.response_complete else None
        is_answering = served is not None and (self._phase is not Phase.body or served.response_started or served is not self.cycle)
        self._leave_requests()
        if is_answering:
            self.transport.close()  # nothing may stand in the place of the answer to what came before
            return
        body = to_json(problem.document(self.root_path))
        fields = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close", **problem.headers}
        head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.transport.write(f"{head}\r\n".encode("latin-1") + body)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._is_refused, self._began_s = True, self.loop.time()


def check_all(connections: Connections, now_s: float) -> None:
    """Look at every connection once."""
    for connection in connections:
        cast("BoundedProtocol", connection).check(now_s)


def _too_many_fields() -> Problem:
    return Problem("head-too-large", f"the request has more than {MOST_FIELDS} header fields: send fewer")


def _too_large(what: str = "the first line with the header fields") -> Problem:
    return Problem("head-too-large", f"{what} has more than {MOST_HEAD_BYTES} bytes: send less")
