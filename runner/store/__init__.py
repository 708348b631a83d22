"""The state machine of one queue: each transition is one script in lua/ and one method here. No other room sees a key or a reply.

An actor holds the role it needs: `Submissions` and `Jobs` (producers, operators), `Claims` (a worker, with `LeaseStore` in its
heartbeat's thread), `Duties` (the leader), `Limits` (catalog, tokens, control). `JobStore` is all of them.
"""

from runner.store.answers import CancelAnswer, FinishAnswer, TakeAnswer
from runner.store.claims import ClaimRequest, Claims, Look
from runner.store.data_format import FORMAT
from runner.store.doctor import examine, refuse_unfit_server
from runner.store.duties import Duties
from runner.store.failpoints import around_attempt
from runner.store.finding import Finding, Level
from runner.store.job_store import JobStore
from runner.store.jobs import Jobs
from runner.store.lease import LeaseStore
from runner.store.limits import Limits
from runner.store.queue import MOST_PER_CALL, QueueStore, fitting
from runner.store.replies import Claimed, Decision, HeldEntry
from runner.store.submissions import Submissions
from runner.store.worker_status import WorkerStatus

__all__ = [
    "FORMAT",
    "MOST_PER_CALL",
    "CancelAnswer",
    "ClaimRequest",
    "Claimed",
    "Claims",
    "Decision",
    "Duties",
    "Finding",
    "FinishAnswer",
    "HeldEntry",
    "JobStore",
    "Jobs",
    "LeaseStore",
    "Level",
    "Limits",
    "Look",
    "QueueStore",
    "Submissions",
    "TakeAnswer",
    "WorkerStatus",
    "around_attempt",
    "examine",
    "fitting",
    "refuse_unfit_server",
]
