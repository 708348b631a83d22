"""Where the service listens: an address or a unix socket; and the refusal to listen where strangers could call it without a key."""

import errno
import os
import socket
import stat
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from runner import Client, ConfigurationError, StoreUnavailable

_BACKLOG = 2048
LONGEST_PATH = 100
"""Bytes; systems differ, and none takes more than 107."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, made here so that a port in use is an OSError of `serve`.

    It names its protocol, unlike a socket of `socket.create_server`: asyncio disables Nagle's algorithm for connections of
    IPPROTO_TCP only, and with the algorithm each answer waits about 40 ms for an acknowledgement. uvloop disables it for all.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def listen_unix(path: Path, mode: int) -> socket.socket:
    """A listening unix socket that those may use whom `mode` names. Takes the place of one that nobody listens on. Raises `ConfigurationError`, OSError."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ConfigurationError(f"unix socket {str(path)!r} has a path of more than {LONGEST_PATH} bytes, which no socket can have")
    _remove_dead(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Made with no more than these permissions: a moment with others would be enough for a stranger.
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def remove_socket(path: Path) -> None:
    """At the end: nobody finds a socket that nobody listens on."""
    with suppress(OSError):
        path.unlink()


async def refuse_open_door(client: Client, host: str) -> None:
    """Raises `ConfigurationError` if strangers could reach a service that has no keys.

    If Redis is away that is not known: the service starts, and serves nobody from elsewhere before it has found keys.
    """
    if is_loopback(host) or client.settings.trust_user_header is not None:  # strangers who do not come by the proxy are refused each
        return
    try:
        if await client.keys.exist():
            return
    except StoreUnavailable:
        return
    raise ConfigurationError(
        f"the service of queue {client.queue!r} has no keys, so whoever reaches {host!r} could do everything: make a key by"
        " `python -m runner keys create NAME --preset admin`, or give --insecure-no-auth to serve everybody all the same"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _remove_dead(path: Path) -> None:
    """Raises `ConfigurationError` for a path that is no socket, and OSError if somebody listens there."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigurationError(f"{str(path)!r} is there already, and is no socket: name another path, or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, f"another process listens on {path}")
