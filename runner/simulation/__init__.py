"""The engine in virtual time: when every job of a plan would start. The arithmetic and the order of the scripts, without Redis or a clock."""

from runner.simulation.drain import JobGroup, Live, buckets_of_plan, simulate
from runner.simulation.foresee import foresee
from runner.simulation.order import GOLDEN, class_and_tag, class_owed, score_of
from runner.simulation.report import Drain, LimitReport, TenantReport
from runner.simulation.snapshot import BucketSnapshot, Foreseen, LineSnapshot, NeedSnapshot, Snapshot
from runner.simulation.work import LineName

__all__ = [
    "GOLDEN",
    "BucketSnapshot",
    "Drain",
    "Foreseen",
    "JobGroup",
    "LimitReport",
    "LineName",
    "LineSnapshot",
    "Live",
    "NeedSnapshot",
    "Snapshot",
    "TenantReport",
    "buckets_of_plan",
    "class_and_tag",
    "class_owed",
    "foresee",
    "score_of",
    "simulate",
]
