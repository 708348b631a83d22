"""Overview: how a queue stands at one instant, and each of its limits: what the dashboard, `top` and the metrics show. Values only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from runner.access import AuditLine
from runner.limits import Limit, LimitState, Override, Pause, ProviderCount, instant_document

SLOW_AFTER_S = 60.0
"""A wait from which on it is shown as slow."""


@dataclass(frozen=True, slots=True)
class BucketCounts:
    """How many buckets a limit has: `known` and `live` ones are counted of a limit without a key only, as no list holds those of a key."""

    known: int | None
    live: int | None
    waiting: int


@dataclass(frozen=True, slots=True)
class LimitOverview:
    """How a limit stands. `bucket`, `tokens`, `next_token_s` and `frozen_s` are of the bucket where most jobs wait; None: no job waits at any.

    waiting: jobs at all its buckets, `waiting_is_estimate` if more wait than one call counts. oldest_wait_s: of the first jobs of each priority
    there. clears_in_s: until the last of the longest line has started; None: unknown. started_s, taken_s: starts and tokens a second. state_since: None: unknown.
    """

    policy: Limit
    code: Limit
    override: Override | None
    paused: Pause | None
    state: LimitState
    state_since: datetime | None
    bucket: str | None
    tokens: int | None
    next_token_s: float | None
    frozen_s: float
    frozen_by: str | None
    waiting: int
    waiting_is_estimate: bool
    oldest_wait_s: float | None
    clears_in_s: float | None
    started_s: float
    taken_s: float
    throttled_min: int
    buckets: BucketCounts
    unit: str | None = None
    """What a cost counts, if the limit says it."""
    provider: ProviderCount | None = None
    """What its provider has said of `bucket`; None: nobody tells it."""

    @property
    def name(self) -> str:
        """The limit's name."""
        return self.code.name

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        told = {name: getattr(self, name) for name in _PLAIN}
        return {
            "name": self.name,
            "policy": self.policy.document(),
            "code": self.code.document(),
            "override": self.override and self.override.document(),
            "paused": self.paused and self.paused.document(),
            "state": self.state.value,
            "state_since": self.state_since and instant_document(self.state_since),
            **told,
            "provider": self.provider and self.provider.document(),
            "buckets": asdict(self.buckets),
        }


_PLAIN = (
    *(
        "unit",
        "bucket",
        "tokens",
        "next_token_s",
        "frozen_s",
        "frozen_by",
        "waiting",
        "waiting_is_estimate",
        "oldest_wait_s",
        "clears_in_s",
    ),
    *("started_s", "taken_s", "throttled_min"),
)


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of all live workers: busy ones, all, and those taken by attempts that should have stopped."""

    busy: int
    total: int
    stuck: int


@dataclass(frozen=True, slots=True)
class Leader:
    """The worker that leads, None if none does; and the seconds since the latest refill, whoever did it: None if there was none for a day."""

    worker: str | None
    refill_age_s: float | None


@dataclass(frozen=True, slots=True)
class Overview:
    """How a queue stands. What is None is unknown, or not for the caller to see.

    jobs: by state, those that succeeded in the last 24 hours. reasons: of those that wait, by what they wait for. started_s: starts a second
    at all limits told. finished_min, failed_min: jobs that ended, and dead letters, in the last minute. more: limits that are not told.
    """

    at: datetime
    queue: str
    jobs: Mapping[str, int] | None
    reasons: Mapping[str, int] | None
    slots: Slots | None
    workers: int | None
    leader: Leader | None
    paused: Pause | None
    started_s: float
    finished_min: int | None
    failed_min: int | None
    oldest_wait_s: float | None
    limits: tuple[LimitOverview, ...]
    more: int
    changes: tuple[AuditLine, ...] = field(default=(), compare=False)
    """What was changed in the last seconds, for who may read the audit."""
    slow_after_s: float = SLOW_AFTER_S

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "at": instant_document(self.at),
            "queue": self.queue,
            "slow_after_s": self.slow_after_s,
            "jobs": self.jobs and dict(self.jobs),
            "reasons": self.reasons and dict(self.reasons),
            "slots": self.slots and asdict(self.slots),
            "workers": self.workers,
            "leader": self.leader and asdict(self.leader),
            "paused": self.paused and self.paused.document(),
            "started_s": self.started_s,
            "finished_min": self.finished_min,
            "failed_min": self.failed_min,
            "oldest_wait_s": self.oldest_wait_s,
            "limits": [limit.document() for limit in self.limits],
            "more": self.more,
        }
