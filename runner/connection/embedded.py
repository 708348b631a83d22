"""EmbeddedServer: a private Valkey for a folder, under `.runner/`. The first process starts and owns it, others attach; it ends with its owner.

The process that holds the lock file owns the server. The server holds the same lock, so the lock is free only when no server of
this folder runs: two servers never use the same data. This module never opens a Redis client.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from runner import clock
from runner.connection.own_files import check_own_folder, make_own_folder, open_own, refuse_link
from runner.connection.server_process import answer, find_binary, stop_supervised, supervised
from runner.errors import ConfigurationError
from runner.forks import forget_after_fork, keep

if sys.platform != "win32":
    import fcntl

FOLDER = ".runner"
START_TIMEOUT_S = 10.0
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

log = logging.getLogger("runner")


class EmbeddedServer:
    """The server of a folder, which this process owns or has attached to.

    If the server or its owner dies, one of the processes that use it starts it again on the same data and the same URL.
    """

    def __init__(self, data: Path) -> None:
        self._data = data.parent.resolve() / data.name
        self._socket = _socket_path(self._data)
        self._log_path = self._data / "valkey.log"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="runner-embedded", daemon=True)
        forget_after_fork(self)

    @classmethod
    def attach_or_start(cls, folder: Path) -> Self:
        """The server of `folder`, started if it does not run; blocks up to 10 s. Raises `ConfigurationError` with the end of its log."""
        server = cls(folder / FOLDER)
        server._open()
        return server

    @classmethod
    @contextmanager
    def private(cls) -> Iterator[Self]:
        """A server in a temporary folder, which is deleted at the end."""
        folder, process = Path(tempfile.mkdtemp(prefix="runner-")), os.getpid()
        try:
            with cls.attach_or_start(folder) as server:
                yield server
        finally:
            if os.getpid() == process:  # a forked child leaves it to its parent
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where clients connect: `unix://` and the path of its socket."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def was_started(self) -> bool:
        """Whether a server was started here and not stopped since: it runs, or has crashed."""
        return self._socket.exists()

    @property
    def owned(self) -> bool:
        """Whether this process runs the server, and stops it in `close`."""
        return self._process is not None

    def refuse_foreign(self) -> None:
        """Raises `ConfigurationError` if the folder, or that of the socket, is a link or another user's."""
        for folder in {self._data, self._socket.parent}:
            check_own_folder(folder)

    def close(self) -> None:
        """Stop the server if this process owns it; the data stays. A second call does nothing."""
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._release()

    def forget(self) -> None:
        """In a forked child: the server is its parent's. If the child kept the pipe and the lock, the server would outlive its owner."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._lock is not None:
            os.close(self._lock)
        keep(self._process, self._keeper)
        self._process = self._lock = None
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self) -> None:
        self._data.parent.mkdir(parents=True, exist_ok=True)
        for folder in {self._data, self._socket.parent}:
            make_own_folder(folder)
        refuse_link(self._data / "appendonlydir")
        with os.fdopen(open_own(self._data / ".gitignore", os.O_WRONLY | os.O_TRUNC), "w") as ignored:
            ignored.write("*\n")
        deadline_s = clock.monotonic_s() + START_TIMEOUT_S
        while not self._try_start() and answer(str(self._socket)) != "+PONG":
            if clock.monotonic_s() > deadline_s:
                raise self._no_answer("its owner started it, but it does not answer")
            clock.sleep_s(POLL_S)
        self._keeper.start()

    def _keep(self) -> None:
        """In a thread: start the server again if it ends, and own it if its owner ends."""
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
        lock = open_own(self._data / "lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        try:
            options = OPTIONS | {"dir": str(self._data), "unixsocket": str(self._socket), "logfile": str(self._log_path)}
            command = [str(find_binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]
            with os.fdopen(open_own(self._log_path, os.O_WRONLY | os.O_APPEND), "ab") as output:
                self._process = supervised(command, output, inherited=lock)
            self._wait_until_ready(self._process)
        except BaseException:
            self._release()
            raise
        return True

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = clock.monotonic_s() + START_TIMEOUT_S
        while (reply := answer(str(self._socket))) != "+PONG":
            if process.poll() is not None:
                raise self._no_answer(f"it ended with status {process.returncode}")
            if reply.startswith("-LOADING"):  # it may read its data for as long as it takes
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
