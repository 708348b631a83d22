"""ReadInTurns: a connection whose bytes are read in the turn of the event loop in which they come, or later if that one has had enough."""

from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from runner.http.turns import Turns

BYTES_A_REQUEST = 4 * 1024
"""As much work as a request: bytes that come as a thousand fields or chunks."""
MOST_UNREAD_BYTES = 64 * 1024
"""That wait for their turn on one connection, before nothing more is taken from its socket."""


class ReadInTurns(HttpToolsProtocol):
    """What reads says so by `read`, and is told by `put_off` that bytes wait, and by `caught_up` that none do any more."""

    def __init__(self, *arguments: Any, turns: Turns, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turns = turns
        self._unread = b""
        """What came in a turn that had had enough."""
        self._is_held = False
        """Whether nothing is taken from the socket because of that."""
        self._heads = 0
        """Requests that were sent in one packet; the first of them has a turn."""
        self._has_turn = False
        """Whether the head of a request is being read: it begins at once."""
        self.is_known = False
        """Whether a request was answered here, and not because too many came."""

    def read(self, data: bytes) -> None:
        """Have the parser call what is in the data."""
        raise NotImplementedError

    def put_off(self) -> None:
        """From now on the caller waits for the service."""

    def caught_up(self) -> None:
        """All that came was read."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if not self._unread:
            if self._turns.take():
                self._read(data)
                return
            self.put_off()
            self._turns.later(self._read_late, is_known=self.is_known)
        self._unread += data
        if len(self._unread) > MOST_UNREAD_BYTES and not self.flow.read_paused:
            self.flow.pause_reading()
            self._is_held = True

    def _read_late(self) -> None:
        data, self._unread = self._unread, b""
        if not data or self.transport.is_closing():
            return
        if self._is_held:
            self._is_held = False
            self.flow.resume_reading()
        self._unset_keepalive_if_required()
        self._read(data)
        self.caught_up()

    def _read(self, data: bytes) -> None:
        self._heads = 0
        if len(data) >= BYTES_A_REQUEST:
            self._turns.charge(len(data) // BYTES_A_REQUEST)
        self.read(data)

    def on_headers_complete(self) -> None:
        self._heads += 1
        if self._heads > 1:
            self._turns.charge(1)
        self._has_turn = True
        super().on_headers_complete()
        self._has_turn = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._has_turn:
            super()._start_asgi_task(cycle, app)
        else:
            self._turns.begin(partial(super()._start_asgi_task, cycle, app), is_known=self.is_known)
