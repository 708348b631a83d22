"""From a URL to a reply: finds the one server, sends a command once, says what an error means. Knows no queue; no other room opens sockets."""

from runner.connection.address import Topology, embedded_folder, parse_address
from runner.connection.client import RedisClient, command, pair
from runner.connection.direct_client import DirectClient
from runner.connection.embedded import EmbeddedServer
from runner.connection.error_translation import is_full, translated_errors
from runner.connection.locator import Locator
from runner.connection.opening import connect, connect_in_thread, embedded_server, located, redis_url
from runner.connection.progress import longest_s
from runner.connection.server_process import stop_supervised, supervised
from runner.connection.thread_client import command_in_thread

__all__ = [
    "DirectClient",
    "EmbeddedServer",
    "Locator",
    "RedisClient",
    "Topology",
    "command",
    "command_in_thread",
    "connect",
    "connect_in_thread",
    "embedded_folder",
    "embedded_server",
    "is_full",
    "located",
    "longest_s",
    "pair",
    "parse_address",
    "redis_url",
    "stop_supervised",
    "supervised",
    "translated_errors",
]
