"""Opens Redis: from a URL to a client that finds its server, and from an error to what it means. Nothing else opens connections."""

from runner.connection.address import Topology, embedded_folder, parse_address, shown_url
from runner.connection.locator import Locator
from runner.connection.opening import connect, connect_in_thread, located, redis_url
from runner.connection.outage import is_full, is_transient, translated_errors

__all__ = [
    "Locator",
    "Topology",
    "connect",
    "connect_in_thread",
    "embedded_folder",
    "is_full",
    "is_transient",
    "located",
    "parse_address",
    "redis_url",
    "shown_url",
    "translated_errors",
]
