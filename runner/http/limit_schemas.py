"""Limits over HTTP: their state, and the bodies that change, pause and freeze one."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from runner import Control, LimitState, LimitStatus
from runner.http.bodies import WHOLE, Body
from runner.http.forms import BUCKET_SAID, PERIOD_S, SPAN_S, TOKENS, OneLine

_EXAMPLE = {"kind": "token_bucket", "rate": "10/s", "capacity": 20, "refill": 10, "every_s": 1.0, "smooth": True, "key": None}

Reason = Annotated[OneLine, Field(max_length=Control.LONGEST_TEXT, description="why; shown with every job that waits for it")]
Policy = Annotated[dict[str, Any], Field(examples=[_EXAMPLE])]


class LimitBody(Body):
    """Other numbers for a limit. A number that is not given stays as in the code; the kind of limit says which it takes."""

    rate: Annotated[str | None, Field(max_length=100, description='of a smooth token bucket: "10/s", "100/min", "5/10s"')] = None
    burst: Annotated[Annotated[int, Field(**TOKENS), WHOLE] | None, Field(description="of a smooth token bucket: most tokens saved")] = None
    capacity: Annotated[
        Annotated[int, Field(**TOKENS), WHOLE] | None, Field(description="most tokens, starts in a window or period, or jobs at once")
    ] = None
    refill: Annotated[
        Annotated[int, Field(**TOKENS), WHOLE] | None, Field(description="of an interval token bucket: tokens of each interval")
    ] = None
    every: Annotated[
        Annotated[float, Field(**PERIOD_S)] | None, Field(description="of an interval token bucket: seconds of an interval")
    ] = None
    per: Annotated[Annotated[float, Field(**PERIOD_S)] | None, Field(description="of a sliding window: its seconds")] = None
    duration: Annotated[
        Annotated[float, Field(**SPAN_S)] | None, Field(description="seconds after which the code's numbers are back; null: until restored")
    ] = None
    reason: Reason = ""

    def numbers(self) -> dict[str, Any]:
        """The numbers alone."""
        return self.model_dump(exclude={"duration", "reason"}, exclude_none=True)


class PauseBody(Body):
    """Why a limit is paused."""

    reason: Reason = ""


class ReleaseBody(Body):
    """Which bucket of a limit is meant."""

    bucket: Annotated[
        Annotated[str, Field(max_length=Control.LONGEST_TEXT, **BUCKET_SAID)] | None,
        Field(
            description='a bucket of the limit, like "tenant/t7"; without it, of a limit with a key all of them',
        ),
    ] = None


class FreezeBody(ReleaseBody):
    """For how long a bucket is frozen, and why."""

    duration: Annotated[
        Annotated[float, Field(**SPAN_S)] | Annotated[str, Field(max_length=Control.LONGEST_TEXT)],
        Field(description='seconds, or as the provider said it: "6m0s", an HTTP date; a shorter freeze never shortens a longer one'),
    ]
    reason: Reason = ""


class ResetBody(ReleaseBody):
    """Of which bucket what was spent is forgiven, and why."""

    reason: Reason = ""


class Override(BaseModel):
    """Numbers that replace those of the code."""

    policy: Policy
    since: datetime
    until: Annotated[datetime | None, Field(description="when the code's numbers are back; null: when they are restored")]
    reason: str
    by: Annotated[str, Field(description="who did, as the audit has it; empty: it is not told")]


class Pause(BaseModel):
    """Nothing starts until the limit is resumed."""

    since: datetime
    reason: str
    by: Annotated[str, Field(description="who paused it, as the audit has it; empty: it is not told")]


class Reset(BaseModel):
    """An operator forgave what had been spent."""

    at: datetime
    bucket: Annotated[str, Field(description="the bucket, or the limit's name: all of its buckets")]
    reason: str


class ProviderCount(BaseModel):
    """What a provider said last is left of the account behind a bucket."""

    left: Annotated[int, Field(description="tokens, as it said")]
    had: Annotated[int, Field(description="tokens that we had just then; fewer than none: a debt")]
    at: datetime
    lowered: Annotated[int, Field(description="tokens by which such words have lowered the bucket so far: what others took of the account")]


class Bucket(BaseModel):
    """A live bucket of a limit."""

    bucket: str
    tokens: Annotated[int, Field(description="whole tokens that could be taken now")]
    waiting: Annotated[int, Field(description="jobs that wait here")]
    waiting_is_estimate: Annotated[bool, Field(description="more lines wait than are counted at once: `waiting` is told from some of them")]
    next_token_s: Annotated[float | None, Field(description="seconds until its next token; 0: it is full, or one is there; null: unknown")]
    frozen_s: Annotated[
        float, Field(description="seconds in which nothing starts, at the request of the provider or an operator; 0: not frozen")
    ]
    frozen_reason: Annotated[
        str | None, Field(description="why it is frozen: the reason that was given, or the job whose provider said wait")
    ]
    provider: Annotated[ProviderCount | None, Field(description="what its provider said last; null: nobody tells it")]
    needed: Annotated[int, Field(description="tokens that those in front of its lines take, the one who takes most; 0: nobody waits")]


class QueueShare(BaseModel):
    """What one queue has of a limit that several queues share."""

    queue: str
    in_hand: Annotated[int, Field(description="tokens that it was given and has not used")]
    used_per_minute: Annotated[int, Field(description="tokens of the last whole minute")]
    wanted: Annotated[int, Field(description="tokens that the first of its jobs want that wait")]
    weight: int
    heard_s: Annotated[float, Field(description="seconds since it was last heard of")]


class Shared(BaseModel):
    """Who has what of a limit that several queues share."""

    scope: str
    tokens: Annotated[int, Field(description="whole tokens that no queue has")]
    out: Annotated[int, Field(description="tokens that queues have in hand")]
    queues: list[QueueShare]


class Limit(BaseModel):
    """A limit: what it permits, and the state of its buckets; for a limit with a key, of those that jobs wait for."""

    name: str
    policy: Annotated[Policy, Field(description="what is in force")]
    code: Annotated[Policy, Field(description="what the code says")]
    state: Annotated[LimitState, Field(description="what it does just now, in one word")]
    override: Override | None
    paused: Pause | None
    reset: Annotated[Reset | None, Field(description="the latest")]
    frozen_s: Annotated[float, Field(description="for a limit with a key: seconds in which all its buckets are frozen together")]
    frozen_reason: str | None
    waiting_buckets: Annotated[int, Field(description="buckets that jobs wait for, shown or not")]
    waiting: Annotated[int, Field(description="jobs that wait at all of them")]
    waiting_is_estimate: Annotated[bool, Field(description="more wait than are counted at once: `waiting` is told from some of them")]
    started: Annotated[int, Field(description="who took tokens of it since the minute before this one began")]
    unserved: Annotated[int, Field(description="jobs of it that wait for a live worker")]
    buckets_not_shown: Annotated[int, Field(description="how many more buckets jobs wait for than `buckets` shows")]
    shared: Annotated[
        Shared | None, Field(description="of a limit without a key that several queues share, where one limit is asked for")
    ] = None
    buckets: Annotated[list[Bucket], Field(description="for a limit with a key, those where most jobs wait first")]

    @classmethod
    def of(cls, status: LimitStatus) -> Self:
        return cls.model_validate(status.document())


class Limits(BaseModel):
    """Every limit of the queue, or a page of them by name."""

    limits: list[Limit]
    next: Annotated[str | None, Field(description="the cursor of the next page; null: there is none")]
