"""The state machine of one queue: each transition is one script in lua/ and one method here. Nobody else sees a key or a reply."""

from runner.store.data_format import FORMAT
from runner.store.doctor import Finding, Level, examine, refuse_unfit_server
from runner.store.failpoints import around_attempt
from runner.store.job_store import JobStore
from runner.store.lease import LeaseStore
from runner.store.replies import Claimed, Decision, HeldEntry
from runner.store.submissions import MOST_PER_CALL, fitting

__all__ = [
    "FORMAT",
    "MOST_PER_CALL",
    "Claimed",
    "Decision",
    "Finding",
    "HeldEntry",
    "JobStore",
    "LeaseStore",
    "Level",
    "around_attempt",
    "examine",
    "fitting",
    "refuse_unfit_server",
]
