"""What is seen from outside of a queue and its workers: metrics as Prometheus reads them, probes, and traces.

It counts and shows, and never decides: nothing here speaks to Redis, and what nobody asked for is not counted. The package that writes metrics
is an extra, which is imported when the first page is made.
"""

from runner.telemetry.figures import Figures, HomeFigures, LimitFigures, PoolFigures
from runner.telemetry.labels import MOST_LABELS, OTHER, Labels
from runner.telemetry.page import QueuePage, WorkerPage, Written, require_writer, written
from runner.telemetry.probes import Answer, ProbeServer, Status, status_of
from runner.telemetry.shared_counts import HomeCounts, SharedCounts
from runner.telemetry.shared_reading import SharedReading
from runner.telemetry.table import METRICS, QUEUE, WORKER, Kind, Metric
from runner.telemetry.tracing import carrier_of, recorder_here
from runner.telemetry.worker_counts import WorkerCounts, WorkerGauges

__all__ = [
    "METRICS",
    "MOST_LABELS",
    "OTHER",
    "QUEUE",
    "WORKER",
    "Answer",
    "Figures",
    "HomeCounts",
    "HomeFigures",
    "Kind",
    "Labels",
    "LimitFigures",
    "Metric",
    "PoolFigures",
    "ProbeServer",
    "QueuePage",
    "SharedCounts",
    "SharedReading",
    "Status",
    "WorkerCounts",
    "WorkerGauges",
    "WorkerPage",
    "Written",
    "carrier_of",
    "recorder_here",
    "require_writer",
    "status_of",
    "written",
]
