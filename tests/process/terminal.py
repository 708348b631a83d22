"""Terminal: a command in a pseudo-terminal, and what a person would see there."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import pyte

from tests.eventually import PATIENCE_S

_POLL_S = 0.05


class Terminal:
    """`python -m runner` in a terminal of so many columns and lines. Leaving it ends what still runs."""

    def __init__(self, *words: str, columns: int, lines: int, environment: dict[str, str]) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self._own, self._its = pty.openpty()
        self.before = termios.tcgetattr(self._its)
        self._tell_size(columns, lines)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner", *words],
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""} | environment,
            preexec_fn=self._be_its_own,  # noqa: PLW1509 - the one way to give a child a controlling terminal
        )
        self._reading = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reading.start()

    def _be_its_own(self) -> None:
        os.setsid()
        fcntl.ioctl(self._its, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def _tell_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                some = os.read(self._own, 65_536)
            except OSError:
                return
            if not some:
                return
            with self._lock:
                self.raw += some
                self._stream.feed(some)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._its)
        self._reading.join(PATIENCE_S)
        os.close(self._own)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, from the top, without the spaces at the ends."""
        with self._lock:
            return [line.rstrip() for line in self.screen.display]

    @property
    def attributes(self) -> list[Any]:
        """How the terminal treats what is typed."""
        return termios.tcgetattr(self._its)

    def resize(self, columns: int, lines: int) -> None:
        """As if somebody drew at the window."""
        with self._lock:
            self.screen.resize(lines, columns)
            self.screen.reset()
        self._tell_size(columns, lines)

    def type(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def until(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen shows it. Raises AssertionError with what it shows instead."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds(lines := self.lines):
            assert time.monotonic() < deadline_s, "\n".join(lines)
            time.sleep(_POLL_S)
        return lines

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(PATIENCE_S)
