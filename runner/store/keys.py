"""The name of every Redis key, with flow_keys.py, history_keys.py and shared_keys.py; no other Python file writes one. All keys of a queue share its hash tag, hence one cluster slot."""

from dataclasses import dataclass

from runner.jobs import Priority
from runner.names import DEFAULT_POOL
from runner.store.flow_keys import FlowKeys
from runner.store.history_keys import HistoryKeys
from runner.store.shared_keys import SharedKeys

GROUP = "workers"
"""The consumer group of every stream."""


@dataclass(frozen=True, slots=True)
class Keys(FlowKeys, HistoryKeys, SharedKeys):
    """The keys of one queue. Methods take the variable part; docs/reference/redis-data-model.md says what each key holds.

    The library itself sends commands to some of them only. The others belong to the scripts, which build them from the prefix: they have a
    name here for tests, which look into Redis, and for the document, which lists them all.
    """

    queue: str

    @property
    def prefix(self) -> str:
        return f"runner:{{{self.queue}}}:"

    def stream(self, priority: Priority, pool: str = DEFAULT_POOL) -> str:
        return f"{self.prefix}stream:{priority.name}" + ("" if pool == DEFAULT_POOL else f":{pool}")

    @property
    def pools(self) -> str:
        return f"{self.prefix}pools"

    @property
    def pools_turns(self) -> str:
        return f"{self.prefix}pools:turns"

    def lines_of_pool(self, pool: str) -> str:
        return f"{self.prefix}lines:pool:{pool}"

    def job(self, job_id: str) -> str:
        return f"{self.prefix}job:{job_id}"

    def line(self, line: str) -> str:
        return f"{self.prefix}line:{line}"

    def lines_waiting(self, bucket: str) -> str:
        return f"{self.prefix}lines:waiting:{bucket}"

    def bucket(self, bucket: str) -> str:
        return f"{self.prefix}bucket:{bucket}"

    @property
    def adapting(self) -> str:
        return f"{self.prefix}adapting"

    def freezes(self, bucket: str) -> str:
        return f"{self.prefix}freezes:{bucket}"

    def observed(self, bucket: str) -> str:
        return f"{self.prefix}observed:{bucket}"

    def worker(self, worker: str) -> str:
        return f"{self.prefix}worker:{worker}"

    def inbox(self, worker: str) -> str:
        return f"{self.prefix}inbox:{worker}"

    def cancels(self, worker: str) -> str:
        return f"{self.prefix}cancels:{worker}"

    def taken(self, bucket: str) -> str:
        return f"{self.prefix}taken:{bucket}"

    def holders(self, bucket: str) -> str:
        return f"{self.prefix}holders:{bucket}"

    @property
    def waiting(self) -> str:
        return f"{self.prefix}waiting"

    def check(self, check: str) -> str:
        return f"{self.prefix}check:{check}"

    def periods(self, calendar: str) -> str:
        return f"{self.prefix}periods:{calendar}"

    def claims(self, bucket: str) -> str:
        return f"{self.prefix}claims:{bucket}"

    @property
    def records(self) -> str:
        return f"{self.prefix}records"

    @property
    def expiring(self) -> str:
        return f"{self.prefix}expiring"

    @property
    def wakes(self) -> str:
        return f"{self.prefix}wakes"

    @property
    def wakes_before(self) -> str:
        return f"{self.prefix}wakes:before"

    @property
    def retimes(self) -> str:
        return f"{self.prefix}retimes"

    def buckets_waiting(self, limit: str) -> str:
        return f"{self.prefix}waiting:{limit}"

    @property
    def hooked(self) -> str:
        return f"{self.prefix}hooked"

    def ends(self, task: str) -> str:
        return f"{self.prefix}ends:{task}"

    @property
    def scheduled(self) -> str:
        return f"{self.prefix}scheduled"

    @property
    def format(self) -> str:
        return f"{self.prefix}format"

    @property
    def limits(self) -> str:
        return f"{self.prefix}limits"

    @property
    def specs(self) -> str:
        return f"{self.prefix}specs"

    @property
    def catalog(self) -> str:
        return f"{self.prefix}catalog"

    @property
    def seen(self) -> str:
        return f"{self.prefix}seen"

    @property
    def serving(self) -> str:
        return f"{self.prefix}serving"

    def serves(self, digest: str) -> str:
        return f"{self.prefix}serves:{digest}"

    @property
    def bounces(self) -> str:
        return f"{self.prefix}bounces"

    @property
    def pauses(self) -> str:
        return f"{self.prefix}pauses"

    @property
    def changes(self) -> str:
        return f"{self.prefix}changes"

    @property
    def parked(self) -> str:
        return f"{self.prefix}parked"

    def parked_jobs(self, task: str) -> str:
        return f"{self.prefix}parked:{task}"

    @property
    def unserved(self) -> str:
        return f"{self.prefix}unserved"

    def held(self, task: str) -> str:
        return f"{self.prefix}unserved:{task}"

    @property
    def unique(self) -> str:
        return f"{self.prefix}unique"

    def tag(self, tag: str) -> str:
        return f"{self.prefix}tag:{tag}"

    @property
    def sweeps(self) -> str:
        return f"{self.prefix}sweeps"

    @property
    def schedules(self) -> str:
        return f"{self.prefix}schedules"

    @property
    def schedules_due(self) -> str:
        return f"{self.prefix}schedules:due"

    @property
    def schedules_dormant(self) -> str:
        return f"{self.prefix}schedules:dormant"

    def schedule(self, name: str) -> str:
        return f"{self.prefix}schedule:{name}"

    @property
    def workers(self) -> str:
        return f"{self.prefix}workers"

    @property
    def leader(self) -> str:
        return f"{self.prefix}leader"

    @property
    def watcher(self) -> str:
        return f"{self.prefix}watcher"

    @property
    def nudge(self) -> str:
        return f"{self.prefix}nudge"

    @property
    def clock(self) -> str:
        return f"{self.prefix}clock"

    @property
    def failed(self) -> str:
        return f"{self.prefix}failed"

    @property
    def cancelled(self) -> str:
        return f"{self.prefix}cancelled"

    @property
    def expired(self) -> str:
        return f"{self.prefix}expired"

    def failed_for(self, ttl_ms: object) -> str:
        return f"{self.prefix}failed:{ttl_ms}"

    def cancelled_for(self, ttl_ms: object) -> str:
        return f"{self.prefix}cancelled:{ttl_ms}"

    def expired_for(self, ttl_ms: object) -> str:
        return f"{self.prefix}expired:{ttl_ms}"

    @property
    def retentions(self) -> str:
        return f"{self.prefix}retentions"

    @property
    def ended_on_stream(self) -> str:
        return f"{self.prefix}ended_on_stream"

    @property
    def cursor_secret(self) -> str:
        return f"{self.prefix}cursor_secret"

    @property
    def throttled(self) -> str:
        return f"{self.prefix}throttled"

    @property
    def starts(self) -> str:
        return f"{self.prefix}starts"

    @property
    def sequence(self) -> str:
        return f"{self.prefix}seq"

    @property
    def keys(self) -> str:
        return f"{self.prefix}keys"

    @property
    def keys_used(self) -> str:
        return f"{self.prefix}keys:used"

    @property
    def keys_changed(self) -> str:
        """The channel on which the id of each key is published that was made or changed."""
        return f"{self.prefix}keys:changed"

    def bulk(self, id: str) -> str:
        return f"{self.prefix}bulk:{id}"

    @property
    def bulks(self) -> str:
        return f"{self.prefix}bulks"

    @property
    def audit(self) -> str:
        return f"{self.prefix}audit"

    @property
    def finished(self) -> str:
        """The channel on which scripts publish the id of each watched job when it ends."""
        return f"{self.prefix}finished"
