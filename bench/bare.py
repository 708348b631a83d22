"""A bare client: the engine's own scripts, sent over plain sockets. No tasks, no slots, no event loop: what remains is the server's work."""

import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis

from runner import Settings, Submission, scripts
from runner.job import Ending, StartedJob
from runner.keys import Keys
from runner.replies import claimed

_RECEIVE_BYTES = 1 << 16
_LEASE_US = 600_000_000


class BareConnection:
    """One socket. Commands may be sent before the answers of earlier ones are received."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(unquote(urlsplit(url).path))
        self._reader = hiredis.Reader()

    def send(self, words: Sequence[str | bytes | int]) -> None:
        self._socket.sendall(hiredis.pack_command(tuple(words)))  # type: ignore[arg-type] # annotated as a tuple of one

    def receive(self) -> Any:
        """The next answer. Raises `hiredis.ReplyError`."""
        while (answer := self._reader.gets()) is False:
            received = self._socket.recv(_RECEIVE_BYTES)
            if not received:
                raise ConnectionError("the server has closed the connection")
            self._reader.feed(received)
        if isinstance(answer, hiredis.ReplyError):
            raise answer
        return answer

    def ask(self, words: Sequence[str | bytes | int]) -> Any:
        self.send(words)
        return self.receive()

    def close(self) -> None:
        self._socket.close()


class BareQueue:
    """The commands of the hot path as words, and their answers as values; with the arguments that a worker with these settings gives."""

    def __init__(self, queue: str, settings: Settings, worker: str = "bare") -> None:
        self._prefix = Keys(queue).prefix
        self._worker = worker
        self._settings = settings
        self._turn = 0
        self._ttl_ms = round(settings.result_ttl_s * 1_000)
        self._common: dict[str, scripts.Argument] = {
            "worker": worker,
            "now_us": 0,
            "window_size": settings.window,
            "history_length": settings.history_length,
            "failed_ttl_ms": round(settings.failed_ttl_s * 1_000),
            "record_starts": 0,
            "read_more": 1,
            "look": 1,
            "enlist": 1,
            "details": "{}",
            "lease_us": _LEASE_US,
        }

    def load(self, connection: BareConnection) -> None:
        """Make the scripts and this worker known to the server."""
        for name in ("submit", "claim", "finish", "heartbeat"):
            connection.ask(["SCRIPT", "LOAD", scripts.load(name).source])
        connection.ask(self._words("heartbeat"))

    def submit(self, jobs: Sequence[Submission]) -> list[scripts.Argument]:
        return self._words("submit", [word for job in jobs for word in job])

    def claim(self, free: int) -> list[scripts.Argument]:
        self._turn += 1
        return self._words("claim", free=free, turn=self._turn)

    def claimed(self, answer: Any) -> list[StartedJob]:
        return claimed(self._worker, answer).jobs

    def finish(self, jobs: Sequence[StartedJob]) -> list[scripts.Argument]:
        """All of them succeeded, with nothing as their result."""
        rest: list[scripts.Argument] = []
        for job in jobs:
            rest += (job.priority, job.entry, job.id, job.attempt, Ending.succeeded, b"null", 0, self._ttl_ms, "", "")
        return self._words("finish", rest)

    def _words(self, name: str, rest: Sequence[scripts.Argument] = (), **given: scripts.Argument) -> list[scripts.Argument]:
        script = scripts.load(name)
        named = {argument: value for argument, value in {**self._common, **given}.items() if argument in script.arguments}
        return ["EVALSHA", script.sha, *script.encode(self._prefix, rest, **named)]
