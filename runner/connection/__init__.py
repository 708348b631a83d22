"""Opens Redis: from a URL to a client that finds its server, and from an error to what it means. Nothing else opens connections."""

from runner.connection.address import Topology, embedded_folder, parse_address, shown_url
from runner.connection.client import command, command_in_thread, pair
from runner.connection.embedded import EmbeddedServer, stop_supervised, supervised
from runner.connection.error_translation import is_full, translated_errors
from runner.connection.locator import Locator
from runner.connection.opening import connect, connect_in_thread, located, redis_url

__all__ = [
    "EmbeddedServer",
    "Locator",
    "Topology",
    "command",
    "command_in_thread",
    "connect",
    "connect_in_thread",
    "embedded_folder",
    "is_full",
    "located",
    "pair",
    "parse_address",
    "redis_url",
    "shown_url",
    "stop_supervised",
    "supervised",
    "translated_errors",
]
