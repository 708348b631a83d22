"""ChildProcess: one child as its worker sees it, from its start to its end."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from runner.errors import ChildCrashed, StartFailed
from runner.worker.frames import Frame, read_frame
from runner.worker.uncut import uncut


class ChildProcess:
    """A fresh interpreter in a session of its own, which has imported the app. It runs one job at a time."""

    def __init__(self, process: Process, life: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = process.pid
        self.ran: Counter[str] = Counter()
        """How many jobs it has been given, by task."""
        self.resident = 0
        """The bytes that it held after the last one."""
        self._process = process
        self._life = life
        self._reader, self._writer = reader, writer
        self.ended = asyncio.create_task(self._end(), name=f"child {process.pid}")

    @classmethod
    async def start(cls, said: dict[str, Any], timeout_s: float) -> "ChildProcess":
        """Start one, until it is ready. Raises `ChildCrashed` if it does not get there, and `StartFailed` if its lifespan fails."""
        # The kernel kills a child when the thread ends that has started it: it must be started here, by the thread of the event loop.
        ours, its = socket.socketpair()
        its_life, life = os.pipe()
        try:
            with its:
                words = ("-m", "runner.worker.child", str(its.fileno()), str(its_life), str(os.getpid()))
                process = await asyncio.create_subprocess_exec(
                    sys.executable, *words, stdin=DEVNULL, pass_fds=(its.fileno(), its_life), start_new_session=True
                )
        except BaseException:
            ours.close()
            os.close(life)
            raise
        finally:
            os.close(its_life)
        try:
            child = cls(process, life, *await asyncio.open_connection(sock=ours))
        except BaseException:
            process.kill()
            os.close(life)
            raise
        try:
            async with asyncio.timeout(timeout_s):
                answer = await child.ask(Frame(said))
        except BaseException as error:
            child.kill()
            await uncut(child.gone)
            if isinstance(error, TimeoutError):
                raise ChildCrashed(f"it was not ready within {timeout_s:g} s") from error
            raise
        if "failed" in answer.head:
            await child.ended
            raise StartFailed(answer.head["failed"])
        return child

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None and not self._writer.is_closing()

    def kill(self) -> None:
        """End it and what it has started, whatever it does: code in C heeds no other signal."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._writer.close()

    async def gone(self) -> None:
        """Until it has ended."""
        await asyncio.wait({self.ended})

    async def leave(self, patience_s: float) -> None:
        """End it between two jobs, so that the app's own clean-up runs, if that takes no longer."""
        self._writer.close()
        await asyncio.wait({self.ended}, timeout=patience_s)
        self.kill()
        await self.ended

    def forget(self) -> None:
        """In a forked process: while it held these, a child would not notice that its worker is gone."""
        with suppress(OSError):
            os.close(self._life)
        with suppress(OSError):
            os.close(self._writer.get_extra_info("socket").fileno())

    async def ask(self, frame: Frame, hear: Callable[[Frame], None] = lambda _: None) -> Frame:
        """What the child answers; `hear` gets what it says before. Raises `ChildCrashed` if it ends instead."""
        reading = asyncio.ensure_future(self._send_and_read(frame, hear))
        try:
            # A process that a job has forked may hold the other end of the connection, so that this alone would not show that the child ended.
            await asyncio.wait({reading, self.ended}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=0.05)  # what it has said before its end
            if reading.done() and reading.exception() is None:
                return reading.result()
            self.kill()
            await self.ended
            raise ChildCrashed(self._end_in_words)
        finally:
            if not reading.done():
                reading.cancel()
            elif not reading.cancelled():
                reading.exception()

    async def _send_and_read(self, frame: Frame, hear: Callable[[Frame], None]) -> Frame:
        self._writer.write(frame.encoded())
        await self._writer.drain()
        while (answer := await read_frame(self._reader)).head.keys() == {"progress"}:
            hear(answer)
        return answer

    async def _end(self) -> None:
        try:
            await self._process.wait()
        finally:
            with suppress(OSError):
                os.close(self._life)
            self._life = -1
            self._writer.close()

    @property
    def _end_in_words(self) -> str:
        code = self._process.returncode
        if code is None or code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else ""
        return f"signal {-code} ({name}{', out of memory?' if code == -signal.SIGKILL else ''})"
