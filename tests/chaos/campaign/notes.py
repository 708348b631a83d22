"""The notes of a process of a campaign: one line for each thing that happens, in a file of its own, which outlives it."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from runner import current_job
from tests.chaos.campaign.players.diary import BEGAN as PLAYS
from tests.chaos.campaign.players.diary import LEFT

BEGAN, ENDED, STOPPED = "B", "E", "S"
"""What a worker notes of a run (`B number attempt version`): it began, it came to its end by itself, it was stopped from outside."""
SUBMITS, ACCEPTED = "Q", "A"
"""What a producer in a process of its own notes: it is about to submit a job (`Q number instant_us`), it was answered (`A number`)."""
RIGHT, WRONG, LATE = "R", "W", "L"
"""What one that waits for results notes: it got the right one (`R number`), another one (`W number what`), none in time (`L number`)."""

Run = Callable[[int], AbstractContextManager[None]]
"""The run of the job of a number, in the notes."""


class Notes:
    """The notes of this process; without a file nothing is noted."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *words: object) -> None:
        if self._file is not None:  # one write, which the page cache keeps though the process is killed
            os.write(self._file, (" ".join(map(str, words)) + "\n").encode())

    def run_of(self, version: int) -> Run:
        """What notes the runs of this version of the application."""

        @contextmanager
        def run(number: int) -> Iterator[None]:
            attempt = current_job().attempt
            self.note(BEGAN, number, attempt, version)
            try:
                yield
            except asyncio.CancelledError:
                self.note(STOPPED, number, attempt)
                raise
            except BaseException:
                self.note(ENDED, number, attempt)
                raise
            self.note(ENDED, number, attempt)

        return run

    @contextmanager
    def play(self, *words: object) -> Iterator[None]:
        """A run of a player's job, with more words about it."""
        job = current_job()
        self.note(PLAYS, job.id, job.attempt, time.time_ns() // 1000, *words)
        how = "returned"
        try:
            yield
        except asyncio.CancelledError:
            how = "stopped"
            raise
        except BaseException:
            how = "raised"
            raise
        finally:
            self.note(LEFT, job.id, job.attempt, time.time_ns() // 1000, how)
