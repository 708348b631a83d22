"""A peer in a process of its own, asked by JSON lines. Whatever it does, each question has a time limit."""

import asyncio
import json
import os
import signal
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from bench.environment import ROOT

_START_TIMEOUT_S = 30.0
_LINE_LIMIT = 16 * 2**20
_WORDS_SHOWN = 200


class PeerFailed(Exception):
    """It ended, kept silent or refused; the message is what its row says."""


class PeerProcess:
    """One side of a peer: the process that submits, or the one that works."""

    def __init__(self, process: Process, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors

    async def ask(self, timeout_s: float, **order: Any) -> dict[str, Any]:
        """Its answer. Raises PeerFailed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await self.answer(timeout_s)

    async def answer(self, timeout_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise PeerFailed(f"no answer within {timeout_s:.0f} s{self._last_words()}") from None
        if not line:
            raise PeerFailed(f"ended with status {await self._process.wait()}{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise PeerFailed(answer["failed"])
        return answer

    def go(self) -> None:
        """Let a worker start; it answers nothing yet."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        words = next((line for line in reversed(lines) if line.strip()), "")
        return f": {words.strip()[:_WORDS_SHOWN]}" if words else ""


@asynccontextmanager
async def peer_process(program: Sequence[str | Path], **given: Any) -> AsyncIterator[PeerProcess]:
    """The program, started and connected; killed at the end with all that it started."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *program, json.dumps(given), stdin=PIPE, stdout=PIPE, stderr=errors, env=environment, limit=_LINE_LIMIT, start_new_session=True
        )
        peer = PeerProcess(process, errors)
        try:
            await peer.answer(_START_TIMEOUT_S)
            yield peer
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
