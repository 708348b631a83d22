"""JobLogFilter: which job a line of the log is about, for the logging of apps and of the command line."""

import logging

from runner.jobs.context import current_attempt


class JobLogFilter(logging.Filter):
    """Gives each record `job`, `task`, `attempt` and `queue` of the attempt that logs it, in threads too; "" outside of one.

    What a record has already stays, as by `extra={"task": ...}`. Add it to handlers: a filter of a logger does not see what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        attempt, fields = current_attempt(), vars(record)
        if attempt is None:
            for name in ("job", "task", "attempt", "queue"):
                fields.setdefault(name, "")
        else:
            fields.setdefault("job", attempt.job.id)
            fields.setdefault("task", attempt.job.task)
            fields.setdefault("attempt", attempt.job.attempt)
            fields.setdefault("queue", attempt.queue)
        return True
