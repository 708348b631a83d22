"""The processes of the demonstration, each a `python -m runner ...`. None outlives this process, however it ends."""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.clock import monotonic_s
from runner.connection import stop_supervised, supervised
from runner.errors import RunnerError

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.05


class Children:
    """Starts processes, and stops them all at the end of its `with`. Their output goes to files, which are shown if one fails."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="runner-demo-")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()  # asks all of them to stop, before the wait for each
        for process in self._processes.values():
            stop_supervised(process, STOP_TIMEOUT_S)
        self._folder.cleanup()

    def start(self, name: str, *words: str) -> None:
        """Start `python -m runner` with these words, under a name."""
        with self._output(name).open("wb") as output, self._errors(name).open("wb") as errors:
            self._processes[name] = supervised([sys.executable, "-m", "runner", *words], errors, inherited=output.fileno())

    async def heard(self, name: str, event: str) -> dict[str, str]:
        """The first JSON line of this event that the child prints. Raises `RunnerError` with its stderr if it ends or takes too long."""
        deadline_s = monotonic_s() + START_TIMEOUT_S
        while True:
            for line in self._output(name).read_text().split("\n")[:-1]:
                fields: dict[str, str] = json.loads(line)
                if fields["event"] == event:
                    return fields
            if self._processes[name].poll() is not None or monotonic_s() > deadline_s:
                raise RunnerError(f"{name} did not start:\n{self._errors(name).read_text()[-2000:]}")
            await asyncio.sleep(POLL_S)

    def _output(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.out"

    def _errors(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.err"
