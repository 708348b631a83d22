"""When a waiting job starts: its place and its time, from what the scripts read of its buckets and of those who wait there. No I/O."""

from runner.outlook.earliest import Earliest, earliest
from runner.outlook.estimate import Estimate, Wait, estimates
from runner.outlook.newcomer import with_newcomer
from runner.outlook.several import MOST_BUCKETS, MOST_LINES, snapshot, unknown_buckets
from runner.outlook.slots import slot_wait_us
from runner.outlook.view import BucketView, LineView, SeveralView, cost_of_code, sampled, sampled_classes, with_lengths

__all__ = [
    "MOST_BUCKETS",
    "MOST_LINES",
    "BucketView",
    "Earliest",
    "Estimate",
    "LineView",
    "SeveralView",
    "Wait",
    "cost_of_code",
    "earliest",
    "estimates",
    "sampled",
    "sampled_classes",
    "slot_wait_us",
    "snapshot",
    "unknown_buckets",
    "with_lengths",
    "with_newcomer",
]
