"""WorkerProcess: one worker as its supervisor sees it, from its start to its end. It is told to stop by signals and tells how it is by a pipe."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from runner.clock import monotonic_s
from runner.errors import RunnerError

WORKING, DRAINING, IDLE, EMBEDDED = "working", "draining", "idle", "embedded"
"""The first words of what a worker tells: it claims jobs (and the seconds that its drain takes at most); it drains to be replaced; the queue
is empty; it needs the embedded server of a folder, and waits until its supervisor has tried to start it."""
_MARGIN_S = 20.0
"""A worker that stays for so much longer than its drain takes is killed: it ends itself sooner if it can."""


class WorkerProcess:
    """A fresh interpreter in a session of its own, so that no signal of a terminal reaches it."""

    def __init__(
        self, place: int, process: Process, status: int, life: int, drain_s: float, serve: Callable[[str], Awaitable[None]]
    ) -> None:
        self.place = place
        self.pid = process.pid
        self._serve = serve
        self._process = process
        self._life = life
        self._drain_s = drain_s
        self._working_since_s: float | None = None
        self._killing: asyncio.TimerHandle | None = None
        self.working = asyncio.Event()
        self.over = asyncio.Event()
        """It works no more, or soon will not: it has ended, or drains."""
        self.is_draining = self.is_idle = self.was_killed = False
        self.ended = asyncio.create_task(self._end(status), name=f"worker {place}")

    @classmethod
    async def start(cls, place: int, command: Sequence[str], drain_s: float, serve: Callable[[str], Awaitable[None]]) -> "WorkerProcess":
        """Start it with these words. `serve` starts the embedded server of a folder."""
        status, its_status = os.pipe()
        its_life, life = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--supervised",
                f"{its_status},{its_life}",
                stdin=DEVNULL,
                pass_fds=(its_status, its_life),
                start_new_session=True,
            )
        except BaseException:
            os.close(status)
            os.close(life)
            raise
        finally:
            os.close(its_status)
            os.close(its_life)
        return cls(place, process, status, life, drain_s, serve)

    @property
    def worked_s(self) -> float:
        """For how long it has worked."""
        return 0.0 if self._working_since_s is None else monotonic_s() - self._working_since_s

    @property
    def code(self) -> int | None:
        """How it has ended: its exit code, or the negative number of a signal."""
        return self._process.returncode

    @property
    def end_in_words(self) -> str:
        """The same for people."""
        if self.code is None:
            return "still runs"
        return f"exit code {self.code}" if self.code >= 0 else f"signal {-self.code} ({signal.Signals(-self.code).name})"

    def drain(self) -> None:
        """Let it finish its jobs and leave; a second time it gives them back at once."""
        if self.code is not None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        self._leave(_MARGIN_S if self.is_draining else self._drain_s + _MARGIN_S)

    def _leave(self, patience_s: float) -> None:
        self.is_draining = True
        self.over.set()
        if self._killing is not None:
            self._killing.cancel()
        self._killing = asyncio.get_running_loop().call_later(patience_s, self._kill)

    def _kill(self) -> None:
        if self.code is None:
            self.was_killed = True
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _end(self, status: int) -> None:
        reading = asyncio.create_task(self._read(status))
        try:
            await self._process.wait()
        finally:
            self.over.set()
            if self._killing is not None:
                self._killing.cancel()
            # What it told last is read still. A process that a job has forked may hold the pipe, so its end is not waited for.
            await asyncio.wait({reading}, timeout=0.2)
            reading.cancel()
            os.close(self._life)

    async def _read(self, status: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(status, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                word, _, rest = line.decode().rstrip("\n").partition(" ")
                await self._hear(word, rest)
        finally:
            transport.close()

    async def _hear(self, word: str, rest: str) -> None:
        if word == WORKING:
            self._working_since_s, self._drain_s = monotonic_s(), float(rest)
            self.working.set()
        elif word == DRAINING:
            self._leave(self._drain_s + _MARGIN_S)
        elif word == IDLE:
            self.is_idle = True
        elif word == EMBEDDED:
            with suppress(RunnerError, OSError):  # the worker tries next, and says why it does not start
                await self._serve(rest)
            with suppress(OSError):
                os.write(self._life, b"\n")


def command_of(options: Sequence[str]) -> list[str]:
    """The words that start a worker with these options, by the interpreter that runs here."""
    return [sys.executable, "-m", "runner", "worker", *options]
