"""The state machine of one queue: each transition is one script in lua/ and one method here. No other room sees a key or a reply.

An actor holds the role it needs: `Submissions` and `Jobs` (producers, operators), `Claims` (a worker, with `LeaseStore` in its
heartbeat's thread), `Duties` (the leader), `Declarations` (the catalog), `Limits` (tokens, control), `Schedules`, `Access` (keys, audit).
`JobStore` is all of them.
"""

from runner.outlook import Earliest
from runner.store.access import Access, KeyAnswer
from runner.store.answers import BulkAnswer, CancelAnswer, DeleteAnswer, FinishAnswer, ForgetAnswer, RetryRefusal, TakeAnswer
from runner.store.catalog_check import examine_catalog
from runner.store.claimed import Claimed, HeldEntry
from runner.store.claims import ClaimRequest, Claims, Declined, Look, fitting_outcomes
from runner.store.clocks import QueueClock, is_sending
from runner.store.clocks import put as put_clock
from runner.store.clocks import remove as remove_clock
from runner.store.data_format import FORMAT
from runner.store.declarations import Declarations
from runner.store.direct import DirectStore, done
from runner.store.doctor import examine, refuse_unfit_server
from runner.store.duties import Duties, Nudge
from runner.store.failpoints import around_attempt
from runner.store.finding import Finding, Level
from runner.store.flows import Member, Members, Opened, Sealing, node_of_batch
from runner.store.foreseeing import Forecast, Foreseeing
from runner.store.hands import Ask, Deposit, Hand, Hands, LeaseAnswer, Leased, Told
from runner.store.job_findings import throttled_often
from runner.store.job_store import JobStore
from runner.store.jobs import Jobs
from runner.store.lease import LeaseStore
from runner.store.leases import Home, Leases
from runner.store.limits import Limits
from runner.store.memory_findings import examine_memory
from runner.store.observation import Heard, Observation
from runner.store.overview import BucketReading, Counted, LimitReading, OverviewReading
from runner.store.overview_status import BucketCounts, Leader, LimitOverview, Overview, Slots
from runner.store.pause_findings import examine_pauses
from runner.store.pauses import PauseRefusal, Pauses, left_s
from runner.store.pool_findings import examine_pools
from runner.store.pool_status import PoolStatus
from runner.store.portions import (
    MOST_LIMITS,
    MOST_NAMES,
    MOST_PER_CALL,
    MOST_READ,
    MOST_SMALL,
    MOST_STATUSES,
    MOST_TICKETS,
    MOST_WATCHED,
    portions,
)
from runner.store.published import Entry, Known, Published, Role, spec_fields
from runner.store.queue import QueueStore
from runner.store.replies import Decision, FinishAnswers, Remaining, Tended, Throttled
from runner.store.schedule_findings import examine_schedules
from runner.store.schedule_rows import DueSchedule, KnownSchedule, ScheduleEntry
from runner.store.schedules import Change, Fired, Firing, Schedules
from runner.store.scripts import load_scripts
from runner.store.server_facts import ServerFacts, server_facts
from runner.store.shared_findings import examine_home
from runner.store.stats import MemoryOfKind, MemoryStats, memory_stats
from runner.store.statuses import Depth, Heavy, StoredResult
from runner.store.submissions import Submissions, fitting_jobs
from runner.store.text import decoded
from runner.store.waiting_line import MOST_BUCKETS, MOST_PLACES, WaitingBucket, WaitingBuckets, WaitingJob, WaitingLine
from runner.store.worker_findings import examine_workers
from runner.store.worker_status import WorkerStatus

__all__ = [
    "FORMAT",
    "MOST_BUCKETS",
    "MOST_LIMITS",
    "MOST_NAMES",
    "MOST_PER_CALL",
    "MOST_PLACES",
    "MOST_READ",
    "MOST_SMALL",
    "MOST_STATUSES",
    "MOST_TICKETS",
    "MOST_WATCHED",
    "Access",
    "Ask",
    "BucketCounts",
    "BucketReading",
    "BulkAnswer",
    "CancelAnswer",
    "Change",
    "ClaimRequest",
    "Claimed",
    "Claims",
    "Counted",
    "Decision",
    "Declarations",
    "Declined",
    "DeleteAnswer",
    "Deposit",
    "Depth",
    "DirectStore",
    "DueSchedule",
    "Duties",
    "Earliest",
    "Entry",
    "Finding",
    "FinishAnswer",
    "FinishAnswers",
    "Fired",
    "Firing",
    "Forecast",
    "Foreseeing",
    "ForgetAnswer",
    "Hand",
    "Hands",
    "Heard",
    "Heavy",
    "HeldEntry",
    "Home",
    "JobStore",
    "Jobs",
    "KeyAnswer",
    "Known",
    "KnownSchedule",
    "Leader",
    "LeaseAnswer",
    "LeaseStore",
    "Leased",
    "Leases",
    "Level",
    "LimitOverview",
    "LimitReading",
    "Limits",
    "Look",
    "Member",
    "Members",
    "MemoryOfKind",
    "MemoryStats",
    "Nudge",
    "Observation",
    "Opened",
    "Overview",
    "OverviewReading",
    "PauseRefusal",
    "Pauses",
    "PoolStatus",
    "Published",
    "QueueClock",
    "QueueStore",
    "Remaining",
    "RetryRefusal",
    "Role",
    "ScheduleEntry",
    "Schedules",
    "Sealing",
    "ServerFacts",
    "Slots",
    "StoredResult",
    "Submissions",
    "TakeAnswer",
    "Tended",
    "Throttled",
    "Told",
    "WaitingBucket",
    "WaitingBuckets",
    "WaitingJob",
    "WaitingLine",
    "WorkerStatus",
    "around_attempt",
    "decoded",
    "done",
    "examine",
    "examine_catalog",
    "examine_home",
    "examine_memory",
    "examine_pauses",
    "examine_pools",
    "examine_schedules",
    "examine_workers",
    "fitting_jobs",
    "fitting_outcomes",
    "is_sending",
    "left_s",
    "load_scripts",
    "memory_stats",
    "node_of_batch",
    "portions",
    "put_clock",
    "refuse_unfit_server",
    "remove_clock",
    "server_facts",
    "spec_fields",
    "throttled_often",
]
