"""When a waiting job starts: its place and its time, from what the scripts read of its buckets and of those who wait there. No I/O."""

from runner.outlook.estimate import Estimate, Wait, estimates
from runner.outlook.several import MOST_BUCKETS, unknown_buckets
from runner.outlook.view import BucketView, LineView, SeveralView, cost_of_code, sampled, sampled_classes, with_lengths

__all__ = [
    "MOST_BUCKETS",
    "BucketView",
    "Estimate",
    "LineView",
    "SeveralView",
    "Wait",
    "cost_of_code",
    "estimates",
    "sampled",
    "sampled_classes",
    "unknown_buckets",
    "with_lengths",
]
