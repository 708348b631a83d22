"""ClientAddresses: the address a request comes from. What the caller itself says about it is never believed."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from runner.errors import ConfigurationError

UNIX = "unix"
"""Name for a proxy that connects through a unix socket, and has no address."""

_Address = IPv4Address | IPv6Address
_SUBSCRIBER_BITS = 64


class ClientAddresses:
    """The peer of the socket, or if that is a trusted proxy, the address that the proxy names.

    X-Forwarded-For is read from the right, as far as trusted proxies wrote it: each proxy appends the peer it saw, and everything
    to the left of the first address that is not trusted may be forged by its owner. Raises `ConfigurationError`.
    """

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        if isinstance(trusted_proxies, str):
            raise ConfigurationError(f"trusted_proxies={trusted_proxies!r} is one text: give a list of addresses and networks")
        self._trusts_unix = UNIX in trusted_proxies
        try:
            self._networks = [ip_network(text) for text in trusted_proxies if text != UNIX]
        except ValueError as error:
            raise ConfigurationError(
                f"trusted_proxies: {error}; give addresses, networks like '10.0.0.0/8', or {UNIX!r} for a unix socket"
            ) from error

    def of(self, scope: Mapping[str, Any]) -> str:
        """The client's address, for a bucket's name. IPv6 by /64, since a subscriber owns all addresses of it."""
        return _text(self.address_of(scope))

    def believes(self, scope: Mapping[str, Any]) -> bool:
        """Whether the peer of the socket is a proxy whose word counts."""
        peer = scope.get("client")
        return self._trusts(_parsed(str(peer[0])) if peer else None)

    def address_of(self, scope: Mapping[str, Any]) -> IPv4Address | IPv6Address | None:
        """The client's whole address; None for a unix socket, and if the proxy does not know it."""
        peer = scope.get("client")
        address = _parsed(str(peer[0])) if peer else None
        hops = [hop for name, value in scope["headers"] if name == b"x-forwarded-for" for hop in value.split(b",")]
        while hops and self._trusts(address):
            hop = _parsed(hops.pop().decode("latin-1"))
            if hop is None:
                break  # the proxy does not know the address either: all such requests count for its own
            address = hop
        return address

    def _trusts(self, address: _Address | None) -> bool:
        return self._trusts_unix if address is None else any(address in network for network in self._networks)


def _parsed(text: str) -> _Address | None:
    """An address, with or without a port; an IPv4 address that is mapped into IPv6 is an IPv4 address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _text(address: _Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Address(int(address) >> _SUBSCRIBER_BITS << _SUBSCRIBER_BITS))
    return "unknown" if address is None else str(address)
