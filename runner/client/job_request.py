"""JobRequest: one job by name."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.jobs import JobOptions


class JobRequest(NamedTuple):
    """One job by name: the task, its arguments, and how to submit it."""

    task: str
    args: Mapping[str, Any]
    options: JobOptions = JobOptions()
