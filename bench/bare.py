"""A bare client: the engine's own scripts, sent over plain sockets. No tasks, no slots, no event loop: what remains is the server's work."""

import socket
from collections.abc import Coroutine, Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis

from runner import Settings, Submission
from runner.jobs.job import Ending, Outcome, StartedJob
from runner.store import ClaimRequest, scripts
from runner.store.claimed import claimed
from runner.store.job_store import JobStore

_RECEIVE_BYTES = 1 << 16


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


class _Recorded(Exception):
    """The words of a command that was not sent."""

    def __init__(self, words: Sequence[str | bytes | int]) -> None:
        super().__init__()
        self.words = words


class _Recorder:
    """Stands where the engine's client stands."""

    async def execute_command(self, *words: Any, **_: Any) -> Any:
        raise _Recorded(words)


class BareQueue:
    """The commands of the hot path, in the words in which the engine sends them, and their answers as values."""

    def __init__(self, queue: str, settings: Settings, worker: str = "bare") -> None:
        assert settings.redis_url is not None
        self._store = JobStore(settings.redis_url, queue, settings)
        self._store.redis = cast("Any", _Recorder())
        self._worker = worker
        self._ttl_ms = settings.result_ttl_ms

    def load(self, connection: BareConnection) -> None:
        """Make the scripts and this worker known to the server."""
        for name in scripts.script_names():
            connection.ask(["SCRIPT", "LOAD", scripts.load(name).source])
        connection.ask(_words(self._store.enlist(self._worker, "{}")))

    def submit(self, jobs: Sequence[Submission]) -> Sequence[str | bytes | int]:
        """At most as many as go into one call."""
        return _words(self._store.submit(jobs))

    def claim(self, free: int) -> Sequence[str | bytes | int]:
        return _words(self._store.claim(self._worker, ClaimRequest(free, read_more=True)))

    def claimed(self, answer: Any) -> list[StartedJob]:
        return claimed(self._worker, answer).jobs

    def finish(self, jobs: Sequence[StartedJob]) -> Sequence[str | bytes | int]:
        """All of them succeeded, with nothing as their result."""
        return _words(self._store.finish(self._worker, [Outcome(job, Ending.succeeded, b"null", 0, self._ttl_ms) for job in jobs]))


def _words(call: Coroutine[Any, Any, Any]) -> Sequence[str | bytes | int]:
    """What a call of the store would send first."""
    try:
        call.send(None)
    except _Recorded as recorded:
        return recorded.words
    raise RuntimeError("the store has sent nothing")
