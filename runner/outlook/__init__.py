"""When a waiting job starts: its place and its time, from what the scripts read of its buckets and of those who wait there. No I/O."""

from runner.outlook.earliest import Earliest, earliest, earliest_of_each
from runner.outlook.estimate import Estimate, Wait, estimates
from runner.outlook.newcomer import Newcomer, with_newcomers
from runner.outlook.several import MOST_BUCKETS, MOST_LINES, snapshot, unknown_buckets
from runner.outlook.slots import Arrival, slot_starts_us
from runner.outlook.view import BucketView, LineView, SeveralView, cost_of_code, sampled, sampled_classes, with_lengths

__all__ = [
    "MOST_BUCKETS",
    "MOST_LINES",
    "Arrival",
    "BucketView",
    "Earliest",
    "Estimate",
    "LineView",
    "Newcomer",
    "SeveralView",
    "Wait",
    "cost_of_code",
    "earliest",
    "earliest_of_each",
    "estimates",
    "sampled",
    "sampled_classes",
    "slot_starts_us",
    "snapshot",
    "unknown_buckets",
    "with_lengths",
    "with_newcomers",
]
