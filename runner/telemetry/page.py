"""Pages of metrics as text, whose writer is imported when the first one is made: it needs a package of an extra."""

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from runner.extras import needed_by
from runner.telemetry.figures import Figures
from runner.telemetry.worker_counts import WorkerCounts, WorkerGauges


class WorkerPage(NamedTuple):
    """What a worker shows of itself."""

    queue: str
    gauges: WorkerGauges
    counts: WorkerCounts


class QueuePage(NamedTuple):
    """What is shown of a queue. figures: None if Redis gave none."""

    queue: str
    figures: Figures | None


Page = WorkerPage | QueuePage


class Written(NamedTuple):
    """A page as it is sent."""

    body: bytes
    content_type: str


def require_writer() -> None:
    """Raises `MissingExtra` if pages cannot be made here."""
    _writer()


def written(*pages: Page) -> Written:
    """These pages as one. Raises `MissingExtra`."""
    body, content_type = _writer().written(pages)
    return Written(body, content_type)


@cache
def _writer() -> Any:
    with needed_by("metrics"):
        return import_module("runner.telemetry.exposition")
