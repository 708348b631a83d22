"""Every metric: its name, type, labels and meaning. docs/reference/metrics.md is compared with this, and each page is made of it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The types of Prometheus that are used here."""

    counter = "counter"
    gauge = "gauge"
    histogram = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. All of them have the label `queue` besides their own."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


def _counter(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, Kind.counter, labels, help)


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, Kind.gauge, labels, help)


def _histogram(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, Kind.histogram, labels, help)


READY = _gauge("runner_worker_ready", "1 while this worker claims jobs: what /readyz says.")
LEADS = _gauge("runner_worker_leads", "1 while this worker leads the queue.")
SLOTS = _gauge("runner_worker_slots", "Jobs that this worker can run at once.")
SLOTS_IN_USE = _gauge("runner_worker_slots_in_use", "Attempts that run in this worker.")
SLOTS_STUCK = _gauge("runner_worker_slots_stuck", "Slots that are taken by handlers which go on although they were told to stop.")
UNDELIVERED = _gauge("runner_worker_undelivered_outcomes", "Outcomes of this worker that Redis has not confirmed yet.")
STALLS = _counter("runner_worker_stalls_total", "How often the event loop of this worker was blocked for longer than stall_s.")
DEFECTS = _counter("runner_worker_defects_total", "Errors of this worker itself, each of which has cost one job at most.")
RENEWALS = _counter("runner_lease_renewals_total", "Renewals of this worker's lease: renewed, unavailable, or lost.", "result")
ATTEMPTS = _counter("runner_attempts_total", "Attempts whose outcome Redis has accepted.", "task", "outcome")
ERRORS = _counter("runner_attempt_errors_total", "Attempts that failed, by the type of their error.", "kind")
WAIT = _histogram("runner_wait_seconds", "From the instant at which a job was due to the start of its attempt, by Redis's clock.", "task")
RUN = _histogram("runner_run_seconds", "How long attempts took in this worker.", "task")
TOKEN_TO_START = _histogram(
    "runner_token_to_start_seconds", "From the instant at which a job's tokens were there for it to its start, by Redis's clock.", "limit"
)
RELEASE_DELAY = _histogram("runner_release_delay_seconds", "How late the leader looked at tokens after the instant at which they landed.")
STARTS = _counter("runner_limit_starts_total", "Attempts that this worker has started under a limit.", "limit")
THROTTLED = _counter("runner_limit_throttled_total", "Attempts of this worker whose provider said wait.", "limit")
WARNINGS = _counter(
    "runner_budget_warnings_total", "Warnings that so much of a budget is spent, which this worker has logged and told hooks of.", "limit"
)
IN_HAND = _gauge(
    "runner_shared_in_hand", "Tokens of a shared limit in the hand of this queue; of the worker that leads, as all with `shared`.", "limit"
)
WANTED = _gauge("runner_shared_wanted", "Tokens of a shared limit that the first waiting jobs of this queue need.", "limit")
USED = _counter("runner_shared_used_total", "Tokens of a shared limit that starts of this queue have used while this worker led.", "limit")
HEARD = _gauge(
    "runner_shared_heard_seconds", "Since when the home of a shared limit has said nothing of it: long where nobody needs it.", "limit"
)
HOME_CALLS = _histogram("runner_shared_home_seconds", "How long calls of the home of shared limits took.", "scope")
HOME_ERRORS = _counter("runner_shared_home_errors_total", "Calls of the home of shared limits that it did not answer.", "scope")
HOME_AWAY = _gauge("runner_shared_home_away_seconds", "For how long the home of shared limits has not answered; 0 while it does.", "scope")
CALLS = _counter("runner_redis_calls_total", "Calls of Redis by this worker, by script or command.", "call")
CALL_SECONDS = _counter(
    "runner_redis_seconds_total", "Seconds from sending these calls to their replies; of blocking reads the wait too.", "call"
)
CALL_ERRORS = _counter("runner_redis_errors_total", "Calls of Redis by this worker that raised, by the type of the error.", "kind")

QUEUE_READ = _gauge("runner_queue_read", "1 if the figures of the queue below could be read; 0 if Redis gave none, and they are left out.")
JOBS = _gauge("runner_jobs", "Jobs of the queue by state, and of those that wait by reason.", "state", "reason")
OLDEST_WAIT = _gauge(
    "runner_oldest_wait_seconds", "For how long the first jobs of the lines have been waiting; 0 if none waits for a limit."
)
WORKERS = _gauge("runner_workers", "Workers that hold a lease.")
QUEUE_SLOTS = _gauge("runner_slots", "Jobs that all workers together can run at once.")
STUCK = _gauge("runner_stuck_slots", "Slots of all workers that are taken by handlers which go on although they were told to stop.")
LEADER = _gauge("runner_leader", "1 if one of the workers leads the queue.")
POOL_JOBS = _gauge("runner_pool_jobs", "Jobs of a pool: ready, running, or waiting for a slot of it.", "pool", "state")
POOL_READERS = _gauge("runner_pool_readers", "Workers that read a pool.", "pool")
CAPACITY = _gauge("runner_limit_capacity", "Tokens that a bucket of the limit in force can hold.", "limit")
AVAILABLE = _gauge("runner_limit_available", "Tokens that could be taken now; of limits without a key.", "limit")
WAITING = _gauge("runner_limit_waiting", "Jobs that wait at the limit.", "limit")
WAITING_BUCKETS = _gauge("runner_limit_waiting_buckets", "Buckets of the limit at which jobs wait.", "limit")
FROZEN = _gauge(
    "runner_limit_frozen_seconds", "For how long the limit stays frozen; of one with a key for how long all its buckets do.", "limit"
)
PAUSED = _gauge("runner_limit_paused", "1 if the limit is paused.", "limit")
OVERRIDDEN = _gauge("runner_limit_overridden", "1 if other numbers than those of the code are in force.", "limit")
PROVIDER_LEFT = _gauge("runner_limit_provider_left", "Tokens that its provider said last are left; of limits without a key.", "limit")
PROVIDER_HAD = _gauge("runner_limit_provider_had", "Tokens that we had when its provider said so; of limits without a key.", "limit")
LOWERED = _counter(
    "runner_limit_lowered_total", "Tokens by which such words have lowered the limit: what others take of the account.", "limit"
)
OUT = _gauge("runner_shared_out", "Tokens of a shared limit in the hands of all queues; of limits without a key, as the next two.", "limit")
FREE = _gauge("runner_shared_free", "Whole tokens of a shared limit that no queue has.", "limit")
SHARERS = _gauge("runner_shared_queues", "Queues that use a shared limit just now.", "limit")
MEMORY = _gauge("runner_redis_memory_bytes", "Memory that the server of the queue uses.")
MEMORY_MAX = _gauge("runner_redis_memory_max_bytes", "maxmemory of that server; 0 for none.")

WORKER = (
    *(READY, LEADS, SLOTS, SLOTS_IN_USE, SLOTS_STUCK, UNDELIVERED, STALLS, DEFECTS, RENEWALS, ATTEMPTS, ERRORS, WAIT, RUN, TOKEN_TO_START),
    *(RELEASE_DELAY, STARTS, THROTTLED, WARNINGS, IN_HAND, WANTED, USED, HEARD, HOME_CALLS, HOME_ERRORS, HOME_AWAY),
    *(CALLS, CALL_SECONDS, CALL_ERRORS),
)
"""What a worker tells of itself."""
QUEUE = (
    *(QUEUE_READ, JOBS, OLDEST_WAIT, WORKERS, QUEUE_SLOTS, STUCK, LEADER, POOL_JOBS, POOL_READERS, CAPACITY, AVAILABLE, WAITING),
    *(WAITING_BUCKETS, FROZEN, PAUSED, OVERRIDDEN, PROVIDER_LEFT, PROVIDER_HAD, LOWERED, OUT, FREE, SHARERS, MEMORY, MEMORY_MAX),
)
"""What the API tells of the queue, and the worker that leads it."""
METRICS = (*WORKER, *QUEUE)
