"""Progress: tells a server that is silent from a way to it that is slow, by the bytes of one exchange that still move."""

import asyncio
import struct
import sys
from typing import Any

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import TIOCOUTQ

LARGE = 65_536
"""Bytes that cross any usable line well within a time-out. What is sent beyond them is looked after while it goes."""
FIRST_BYTES = 16_384
"""A reply up to this length comes in one piece, or its connection hangs."""
LOOKS = 4
"""How often in a time-out a long exchange is looked at."""
_SLOWEST = 256_000
"""Bytes a second, over the whole exchange, beneath which it is given up: sent again, it would fare no better."""
_UNSEEN = 1_000_000
"""The same of bytes that the system holds where nobody can see whether they leave."""
_EARLY_S = 0.002
"""A look comes so early at most."""


def longest_s(count: int, timeout_s: float) -> float:
    """The longest that an exchange of so many bytes takes before it is given up."""
    return 2 * timeout_s + count / _SLOWEST


class TooSlow(TimeoutError):
    """Bytes moved to the last, but too slowly: the server is there, and the connections to it are right."""


class Progress:
    """One exchange, from its write on. A silent one ends `timeout_s` after the last byte that moved, a slow one when it falls behind `_SLOWEST`."""

    __slots__ = ("_begun_s", "_came", "_grace_s", "_left", "_moved_s", "_sent", "_timeout_s")

    def __init__(self, begun_s: float, timeout_s: float, sent: int, *, is_seen: bool) -> None:
        self._begun_s = self._moved_s = begun_s
        self._timeout_s = timeout_s
        self._sent = sent
        # Nobody looked while a small command went, so it counts as gone at once.
        self._left = sent if sent > LARGE else None
        self._came = 0
        self._grace_s = 0.0 if is_seen or sent <= LARGE else sent / _UNSEEN

    def next_look_s(self, now_s: float, left: int, came: int, came_s: float) -> float | None:
        """When to look again, None if it is over: `left` bytes have not left this machine, and `came` have come, the last at `came_s`."""
        if self._left is not None and left != self._left:
            self._left, self._moved_s = left, now_s
        if came > FIRST_BYTES and came != self._came:
            self._came, self._moved_s = came, max(self._moved_s, came_s)
        end_s = min(self._moved_s + self._timeout_s + self._grace_s, self._latest_s(left, came))
        return min(end_s, now_s + self._timeout_s / LOOKS) if now_s < end_s - _EARLY_S else None

    def end(self, now_s: float, left: int, came: int) -> TimeoutError:
        """Why it is over."""
        if now_s < self._latest_s(left, came) - _EARLY_S:
            return TimeoutError("no answer in time")
        moved, took_s = self._sent - left + came, now_s - self._begun_s
        return TooSlow(
            f"the way to it is too slow: {moved} bytes in {took_s:.1f} s, of {self._sent} to send and an answer;"
            f" at least {_SLOWEST // 1000} kB/s are needed"
        )

    def _latest_s(self, left: int, came: int) -> float:
        return self._begun_s + longest_s(max(self._sent - left + came, 0), self._timeout_s)


def unsent(transport: asyncio.Transport) -> tuple[int, bool]:
    """Bytes that were written and that the other side has not confirmed, and whether those in the system's buffer are among them."""
    count = transport.get_write_buffer_size()
    below: Any = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if below is not None:
        count += below.get_write_buffer_size()  # asyncio's TLS hands all it has encrypted to the transport below
    if sys.platform == "win32":
        return count, False
    try:
        in_system = ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
        return count + struct.unpack("i", in_system)[0], True
    except (OSError, ValueError):  # this system does not tell, or the socket is closed
        return count, False
