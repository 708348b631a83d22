"""LimitStatus: how a limit stands, as readers see it in Python, over HTTP and on the command line."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from runner.limits.policy import Limit
from runner.limits.shared_status import SharedStatus
from runner.limits.state_word import LimitFacts, LimitState, limit_state


@dataclass(frozen=True, slots=True)
class ProviderCount:
    """What a provider said last is left of the account behind a bucket, and how many tokens we had there just then.

    lowered: by how many tokens such words have lowered the bucket so far: what others took of the account. It begins anew after a day
    without a word.
    """

    left: int
    had: int
    at: datetime
    lowered: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"left": self.left, "had": self.had, "at": instant_document(self.at), "lowered": self.lowered}


@dataclass(frozen=True, slots=True)
class BucketStatus:
    """A live bucket: whole tokens that could be taken now, jobs that wait at it, seconds until its next token and of its freeze.

    `next_token_s` is None where the wait cannot be computed: a concurrency slot comes back when its job ends. `frozen_reason` is None
    where none was given; after a provider said wait it names the job that was told so.
    """

    bucket: str
    tokens: int
    waiting: int
    next_token_s: float | None
    frozen_s: float
    frozen_reason: str | None = None
    waiting_is_estimate: bool = False
    """More lines wait here than are counted at once: `waiting` is told from some of them."""
    provider: ProviderCount | None = None
    """What the provider has said of it, if it was asked by `observe` or `sync_limit`."""
    needed: int = 0
    """How many tokens those in front of its lines take, the one who takes most; 0: nobody waits."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "provider": self.provider and self.provider.document()}


@dataclass(frozen=True, slots=True)
class Override:
    """Other numbers that an operator put in force. They end at `until`; None: when they are restored."""

    limit: Limit
    since: datetime
    until: datetime | None
    reason: str
    by: str = ""
    """Who did, as the audit has it."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        ends = {"since": instant_document(self.since), "until": self.until and instant_document(self.until)}
        return {"policy": self.limit.document(), **ends, "reason": self.reason, "by": self.by}


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing starts under the limit until it is resumed."""

    since: datetime
    reason: str
    by: str = ""
    """Who paused it, as the audit has it."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"since": instant_document(self.since), "reason": self.reason, "by": self.by}


@dataclass(frozen=True, slots=True)
class Reset:
    """An operator forgave what had been spent of a bucket, or of all buckets of the limit if `bucket` is its name."""

    at: datetime
    bucket: str
    reason: str


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit as Redis knows it: what the code says, the override in force, why it is paused, and its live buckets.

    A limit with a key shows buckets that jobs wait for, those with most jobs first; `frozen_s` is for how long all of them are frozen
    together. A job of several limits waits where its line has yet to have its turn, or keeps its tokens with a claim.
    """

    code: Limit
    override: Override | None
    paused: Pause | None
    buckets: list[BucketStatus]
    frozen_s: float = 0.0
    frozen_reason: str | None = None
    reset: Reset | None = None
    """The latest."""
    waiting_buckets: int = 0
    """How many buckets jobs wait for, shown or not."""
    waiting: int = 0
    """How many jobs wait at all of them."""
    waiting_is_estimate: bool = False
    """More wait than are counted at once: `waiting` is told from some of them, and another bucket can be the one with most jobs."""
    started: int = 0
    """Who took tokens of it since the minute before this one began."""
    unserved: int = 0
    """How many of its jobs wait for a live worker that runs them."""
    shared: SharedStatus | None = None
    """Who has what of a limit that several queues share; only where one limit is asked for."""

    @property
    def buckets_not_shown(self) -> int:
        """How many more buckets jobs wait for than `buckets` shows."""
        return max(self.waiting_buckets - sum(bucket.waiting > 0 for bucket in self.buckets), 0)

    @property
    def name(self) -> str:
        """The limit's name."""
        return self.code.name

    @property
    def policy(self) -> Limit:
        """The limit in force."""
        return self.override.limit if self.override else self.code

    @property
    def state(self) -> LimitState:
        """What it does just now, in one word."""
        hottest = self.buckets[0] if self.buckets else None
        frozen_s = self.frozen_s if self.code.key is not None or hottest is None else hottest.frozen_s
        tokens = self.policy.capacity if hottest is None else hottest.tokens
        needed = 0 if hottest is None else hottest.needed
        facts = (self.policy.kind, self.paused is not None, frozen_s, self.waiting, tokens, needed, self.started, self.unserved)
        return limit_state(LimitFacts(*facts))

    def document(self) -> dict[str, Any]:
        """The limit as JSON: what the API and `--json` show. Times are seconds, instants are texts of ISO 8601."""
        override, paused, reset = self.override, self.paused, self.reset
        return {
            "name": self.name,
            "policy": self.policy.document(),
            "code": self.code.document(),
            "state": self.state.value,
            "override": override and override.document(),
            "paused": paused and paused.document(),
            "reset": reset and {"at": instant_document(reset.at), "bucket": reset.bucket, "reason": reset.reason},
            "frozen_s": self.frozen_s,
            "frozen_reason": self.frozen_reason,
            "waiting_buckets": self.waiting_buckets,
            "waiting": self.waiting,
            "waiting_is_estimate": self.waiting_is_estimate,
            "started": self.started,
            "unserved": self.unserved,
            "buckets_not_shown": self.buckets_not_shown,
            "shared": self.shared and self.shared.document(),
            "buckets": [bucket.document() for bucket in self.buckets],
        }


def instant_document(instant: datetime) -> str:
    """An instant as JSON has it: ISO 8601, UTC."""
    return instant.isoformat().replace("+00:00", "Z")
