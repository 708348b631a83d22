"""Connections: how many a server has open at once, in all and from one address; and who has to go when there are too many.

A connection on which the caller has something to do (send a request, or the rest of one) can be closed for a newer one: the one that has kept
the service waiting for the longest goes first, of those on which no request was answered yet; one that is in use goes only after a second. So
connections that are idle or slow keep nobody out, however many there are, and many new ones do not push out those that are in use.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from itertools import chain
from typing import Protocol

if sys.platform != "win32":
    import resource

MOST = 1_000
_DESCRIPTORS_FOR_OTHERS = 200
"""Files that the process keeps for itself: its connections to Redis, its logs, what it imports."""
_LEAST = 16
_IN_USE_S = 1.0
_SUBSCRIBER_BITS = 64


class Closable(Protocol):
    """A connection, as far as this file needs it."""

    def give_way(self) -> None:
        """Close at once: another connection takes the place."""


def most_connections() -> int:
    """How many a server takes: `MOST`, or fewer if this process may not open so many files."""
    if sys.platform == "win32":
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(min(MOST, soft - _DESCRIPTORS_FOR_OTHERS), _LEAST)


class Connections:
    """At most `most` connections, of which one address has half; those of this machine and of a proxy on it may have all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_of_one = max(most // 2, 1)
        self._addresses: dict[Closable, str | None] = {}
        self._counts: Counter[str | None] = Counter()
        self._strangers: dict[Closable, float] = {}
        """Connections that wait for their caller and since when, the longest first: those on which no request was answered yet."""
        self._known: dict[Closable, float] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def __iter__(self) -> Iterator[Closable]:
        return iter(list(self._addresses))

    def admit(self, connection: Closable, host: str | None, now_s: float) -> bool:
        """Whether this new connection may stay. `host` is the address of its peer; None without one, as on a unix socket."""
        address = _shared_address(host)
        if address is not None and self._counts[address] >= self._most_of_one:
            self._make_room(address, now_s)
        elif len(self._addresses) >= self._most:
            self._make_room(None, now_s)
        if len(self._addresses) >= self._most or (address is not None and self._counts[address] >= self._most_of_one):
            return False
        self._addresses[connection] = address
        self._counts[address] += 1
        self.waits_for_caller(connection, now_s)
        return True

    def waits_for_caller(self, connection: Closable, now_s: float, *, is_known: bool = False) -> None:
        """From now on the service waits for this caller. `is_known`: a request of it was answered, and not because too many came."""
        if connection in self._addresses:
            self.is_served(connection)
            (self._known if is_known else self._strangers)[connection] = now_s

    def is_served(self, connection: Closable) -> None:
        """The request is here: from now on the caller waits for the service."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def remove(self, connection: Closable) -> None:
        """The connection is closed."""
        self.is_served(connection)
        if connection in self._addresses:
            address = self._addresses.pop(connection)
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def _make_room(self, address: str | None, now_s: float) -> None:
        """Close the connection that has waited for its caller the longest; one of this address, if one is given."""
        for connection, since_s in chain(self._strangers.items(), self._known.items()):
            if connection in self._known and since_s > now_s - _IN_USE_S:
                return
            if address is None or self._addresses[connection] == address:
                self.remove(connection)
                connection.give_way()
                return


def _shared_address(host: str | None) -> str | None:
    """What counts as one caller's: an IPv4 address, or the /64 of a subscriber; None for this machine, where a proxy may stand for many."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(IPv6Address(int(address) >> _SUBSCRIBER_BITS << _SUBSCRIBER_BITS))
    return str(address)
