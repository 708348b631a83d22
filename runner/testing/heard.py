"""Heard: what the attempts of one call say besides their outcome: lines of the log, and how far they are."""

import logging
from typing import Self

from runner.clock import MICROSECONDS, wall_us
from runner.jobs import Attempt, Progress, current_attempt


class Heard(logging.Handler):
    """In a `with`: keeps what the code of the user logs within the attempts of this job, as far as its loggers let it through."""

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.log: list[logging.LogRecord] = []
        self.progress: list[Progress] = []

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, unless it is one of this library about the job, or of something else that runs meanwhile."""
        attempt = current_attempt()
        if attempt is not None and attempt.job.id == self.job_id and record.name.partition(".")[0] != "runner":
            self.log.append(record)

    def note(self, attempt: Attempt) -> None:
        """Keep what a handler has just said of its progress, in its thread."""
        attempt.take_progress()
        if attempt.progress is not None:
            self.progress.append(Progress(*attempt.progress, at=wall_us() / MICROSECONDS))
