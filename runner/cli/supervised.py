"""Supervised: a worker's line to its supervisor. It tells how the worker is, and notices when the supervisor is gone."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from runner.cli.worker_process import DRAINING, EMBEDDED, IDLE, WORKING
from runner.errors import ConfigurationError


class Supervised:
    """The two pipes that a supervisor has given its worker. Without one, everything here does nothing."""

    def __init__(self, descriptors: str | None) -> None:
        """`descriptors`: of the pipe to write to, and of the one whose end is the supervisor's. Raises `ConfigurationError`."""
        self._status = self._life = -1
        if descriptors is None:
            return
        status, _, life = descriptors.partition(",")
        try:
            self._status, self._life = int(status), int(life)
            for descriptor in (self._status, self._life):
                os.set_inheritable(descriptor, False)  # else what a job starts would hold it
        except (ValueError, OSError) as error:
            raise ConfigurationError(f"--supervised {descriptors!r} is given by a supervisor only: use --processes") from error

    @property
    def is_held(self) -> bool:
        """Whether there is a supervisor."""
        return self._life >= 0

    def needs_server(self, folder: str) -> None:
        """Have the supervisor start the embedded server of this folder, and wait until it has, or could not."""
        if self._status >= 0:
            self._tell(f"{EMBEDDED} {folder}")
            os.read(self._life, 1)

    def works(self, drain_s: float) -> None:
        self._tell(f"{WORKING} {drain_s:g}")

    def drains(self) -> None:
        self._tell(DRAINING)

    def is_idle(self) -> None:
        self._tell(IDLE)

    def when_left(self, leave: Callable[[], object]) -> None:
        """Call this on the event loop once the supervisor is gone, however it ended."""
        if self._life < 0:
            return
        loop = asyncio.get_running_loop()

        def readable() -> None:
            if not os.read(self._life, 64):
                loop.remove_reader(self._life)
                leave()

        loop.add_reader(self._life, readable)

    def _tell(self, text: str) -> None:
        if self._status >= 0:
            with suppress(OSError):  # the supervisor is gone, which `when_left` tells
                os.write(self._status, f"{text}\n".encode())
