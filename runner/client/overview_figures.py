"""Figures of an overview: from what the script read to what people see, with the help of the readings before. No I/O."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runner.clock import MICROSECONDS
from runner.limits import LimitFacts, LimitState, limit_state
from runner.store import BucketCounts, BucketReading, Counted, Leader, LimitOverview, LimitReading, Overview, OverviewReading, Slots

_WINDOW_US = 10 * MICROSECONDS
"""Starts a second are those of so long."""
_LEAST_US = 1_500_000
"""What lies between two readings for starts a second to be told from them: until then they are those of the last minute, on average."""
_MINUTE_S = 60
_DECIMALS = 3

REASONS = ("tokens", "frozen", "paused", "concurrency", "quota", "after", "no_worker", "other")
"""What jobs wait for, as the overview counts them. other: a free slot of their pool, or what no limit that is told explains."""
_REASON_OF = {
    LimitState.paused: "paused",
    LimitState.frozen: "frozen",
    LimitState.slots_full: "concurrency",
    LimitState.spent: "quota",
    LimitState.no_worker: "no_worker",
}


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a reading says of all limits, kept to be compared with those after it."""

    at_us: int
    minute: int
    now: Mapping[str, Counted]


@dataclass(slots=True)
class Memory:
    """What is remembered of the readings before: sums of some seconds, and since when each limit is in its state, in µs; None: it was so before."""

    sums: deque[_Sums] = field(default_factory=deque)
    states: dict[str, tuple[str, int | None]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """For the next who reads, in whatever process."""
        return json.dumps(self.states, separators=(",", ":"))

    def recall(self, text: str) -> None:
        """What another process has remembered counts as well: it may have looked for longer."""
        for name, (state, since_us) in _states_in(text).items():
            own = self.states.get(name)
            if own is None or own[0] == state:
                earliest = [us for us in (since_us, own[1] if own else None) if us is not None]
                self.states[name] = state, min(earliest, default=None)

    def keep(self, reading: OverviewReading) -> None:
        """Remember a reading, and forget what is older than any window."""
        if self.sums and self.sums[-1].at_us >= reading.at_us:
            return
        self.sums.append(_Sums(reading.at_us, reading.minute, {one.code.name: one.now for one in reading.limits}))
        while len(self.sums) > 1 and self.sums[1].at_us <= reading.at_us - _WINDOW_US:
            self.sums.popleft()


def figures(reading: OverviewReading, memory: Memory, queue: str) -> Overview:
    """The overview that this reading and those before it make."""
    memory.recall(reading.remembered)
    limits = tuple(_limit(one, reading, memory) for one in reading.limits)
    memory.states = {one.name: memory.states[one.name] for one in limits}
    memory.keep(reading)
    jobs = _jobs(reading)
    oldest = [one.oldest_wait_s for one in limits if one.oldest_wait_s is not None]
    return Overview(
        at=_instant(reading.at_us),
        queue=queue,
        jobs=jobs,
        reasons=_reasons(reading, limits),
        slots=Slots(jobs["running"], reading.slots, reading.stuck),
        workers=reading.workers,
        leader=Leader(reading.leader, None if reading.refilled_us is None else _seconds(max(reading.at_us - reading.refilled_us, 0))),
        paused=reading.paused,
        started_s=round(sum(one.started_s for one in limits), _DECIMALS),
        finished_min=_in_a_minute(reading, "sfcx"),
        failed_min=_in_a_minute(reading, "f"),
        oldest_wait_s=max(oldest, default=None),
        limits=limits,
        more=reading.more,
        changes=reading.changes,
    )


def _limit(one: LimitReading, reading: OverviewReading, memory: Memory) -> LimitOverview:
    policy = one.override.limit if one.override else one.code
    hottest = one.buckets[0] if one.buckets else None
    state = _state(one, hottest)
    since_us = _since_us(one, state, reading.at_us, memory)
    started_s, taken_s = _rates(one, reading, memory)
    firsts = [bucket.first_us for bucket in one.buckets if bucket.first_us is not None]
    is_keyed = one.code.key is not None
    return LimitOverview(
        policy=policy,
        code=one.code,
        override=one.override,
        paused=one.paused,
        state=state,
        state_since=None if since_us is None else _instant(since_us),
        bucket=hottest.name if hottest else None,
        tokens=hottest.tokens if hottest else None,
        next_token_s=None if hottest is None or hottest.next_us is None else _seconds(hottest.next_us),
        frozen_s=_seconds(max(one.frozen_us, hottest.frozen_us if hottest else 0)),
        frozen_by=hottest.frozen_by or None if hottest else None,
        waiting=one.waiting,
        waiting_is_estimate=one.is_estimate,
        oldest_wait_s=_seconds(max(reading.at_us - min(firsts), 0)) if firsts else None,
        clears_in_s=None if state is LimitState.waiting_elsewhere else _clears_in_s(one),
        started_s=started_s,
        taken_s=taken_s,
        throttled_min=round(one.now.throttled + one.before.throttled * (1 - reading.into_minute)),
        buckets=BucketCounts(None if is_keyed else 1, None if is_keyed else 1, one.waiting_buckets),
        provider=hottest.provider if hottest else None,
    )


def _state(one: LimitReading, hottest: BucketReading | None) -> LimitState:
    policy = one.override.limit if one.override else one.code
    frozen_us = one.frozen_us if one.code.key is not None or hottest is None else hottest.frozen_us
    tokens, needed = (policy.capacity, 0) if hottest is None else (hottest.tokens, hottest.needed)
    started = one.now.started + one.before.started
    frozen_s = frozen_us / MICROSECONDS
    return limit_state(LimitFacts(policy.kind, one.paused is not None, frozen_s, one.waiting, tokens, needed, started, one.unserved))


def _since_us(one: LimitReading, state: LimitState, at_us: int, memory: Memory) -> int | None:
    """Since when it is in this state. What was so at the first look may have been so for long."""
    name, known = one.code.name, memory.states.get(one.code.name)
    if state is LimitState.paused and one.paused is not None:
        since_us: int | None = round(one.paused.since.timestamp() * MICROSECONDS)
    elif known is None:
        since_us = None
    else:
        since_us = known[1] if known[0] == state.value else at_us
    memory.states[name] = state.value, since_us
    return since_us


def _rates(one: LimitReading, reading: OverviewReading, memory: Memory) -> tuple[float, float]:
    """Starts and tokens a second: of the last seconds if they were watched, of the last minute if not."""
    earlier = next((kept for kept in memory.sums if kept.at_us >= reading.at_us - _WINDOW_US - _LEAST_US), None)
    then = earlier.now.get(one.code.name) if earlier else None
    if earlier is None or then is None or not 0 <= reading.minute - earlier.minute <= 1 or reading.at_us - earlier.at_us < _LEAST_US:
        part = 1 - reading.into_minute
        sums = (one.now.started + one.before.started * part, one.now.taken + one.before.taken * part)
        return round(sums[0] / _MINUTE_S, _DECIMALS), round(sums[1] / _MINUTE_S, _DECIMALS)
    # Across the end of a minute: what was counted of it after that reading, and what was counted since.
    ended = one.before if reading.minute > earlier.minute else Counted(0, 0, 0)
    span_s = (reading.at_us - earlier.at_us) / MICROSECONDS
    started, taken = one.now.started + ended.started - then.started, one.now.taken + ended.taken - then.taken
    return round(max(started, 0) / span_s, _DECIMALS), round(max(taken, 0) / span_s, _DECIMALS)


def _clears_in_s(one: LimitReading) -> float | None:
    """By the longest of its lines; None where one stands still, or its pace is unknown."""
    if one.waiting == 0:
        return 0.0
    times = [bucket.clears_us for bucket in one.buckets if bucket.waiting]
    known = [clears_us for clears_us in times if clears_us is not None]
    return _seconds(max(known)) if known and len(known) == len(times) else None


def _jobs(reading: OverviewReading) -> dict[str, int]:
    jobs = dict.fromkeys(("waiting", "queued", "scheduled", "running", "succeeded", "failed", "cancelled", "expired"), 0)
    for state, _, number in reading.counts:
        jobs[state] = jobs.get(state, 0) + number
    jobs["succeeded"] = reading.day.get("s", 0) + (reading.now or {}).get("s", 0)
    return jobs


def _reasons(reading: OverviewReading, limits: Iterable[LimitOverview]) -> dict[str, int]:
    """Of the jobs in lines, in the proportion in which the limits that are told explain them; of the others as they are counted."""
    reasons = dict.fromkeys(REASONS, 0)
    own = {"paused": "paused", "jobs": "after", "no worker": "no_worker"}
    lined = 0
    for state, reason, number in reading.counts:
        if state == "waiting":
            lined += number if reason not in own else 0
            if reason in own:
                reasons[own[reason]] += number
    told: dict[str, int] = {}
    for limit in limits:
        if limit.waiting and limit.state is not LimitState.waiting_elsewhere:
            reason = _REASON_OF.get(limit.state, "tokens")
            told[reason] = told.get(reason, 0) + limit.waiting
    # A job of several limits can wait at more than one of them.
    scale = min(lined / sum(told.values()), 1.0) if told else 0.0
    for reason, number in sorted(told.items(), key=lambda row: -row[1]):
        part = min(round(number * scale), lined)
        reasons[reason] += part
        lined -= part
    reasons["other"] = lined
    return reasons


def _in_a_minute(reading: OverviewReading, letters: str) -> int | None:
    """How many jobs ended so in the last minute: all of this one, and of the one before the part that is within it."""
    if reading.now is None or reading.before is None:
        return None
    part = 1 - reading.into_minute
    return round(sum(reading.now.get(letter, 0) + reading.before.get(letter, 0) * part for letter in letters))


def _states_in(text: str) -> dict[str, tuple[str, int | None]]:
    try:
        return {name: (str(state), None if since is None else int(since)) for name, (state, since) in json.loads(text or "{}").items()}
    except (AttributeError, TypeError, ValueError):
        return {}  # another version has another form


def _instant(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC)


def _seconds(us: float) -> float:
    return round(us / MICROSECONDS, _DECIMALS)
