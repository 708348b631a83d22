"""Why a job is where it is, in sentences with numbers, and what to do next. Pure: made of what the store answered."""

from collections.abc import Sequence

from runner.jobs.job import JobStatus, State
from runner.jobs.words import attempts, clock_text, frozen, last_error, overridden, paused, scheduled, span, starts_in, stopping, waits_for
from runner.limits import BucketStatus, LimitStatus


def explain(status: JobStatus, limits: Sequence[LimitStatus], now_s: float) -> list[str]:
    """Sentences for a person: where the job is, why, for how long, and the next command. `now_s` is seconds since 1970."""
    head = f"Job {status.id} ({status.task}) {_state(status, now_s)}"
    if status.state is State.waiting:
        return [head, *_waiting(status, limits, now_s), *_counts(status)]
    if status.state is State.scheduled:
        return [head, f"It starts {scheduled(status)}.", *_error(status), *_counts(status)]
    if status.state is State.queued:
        return [
            head,
            "Its tokens are there, or it needs none: it starts as soon as a worker has a free slot.",
            "See who works: python -m runner workers",
        ]
    if status.state is State.running:
        if note := stopping(status):
            return [head, f"{note[0].upper()}{note[1:]}.", *_counts(status), "See whose slots are stuck: python -m runner workers"]
        return [head, *_counts(status), f"Stop it: python -m runner cancel {status.id}"]
    again = [] if status.state is State.succeeded else [f"Run it again: python -m runner retry {status.id}"]
    return [head, *_error(status), *_counts(status), *again]


def _state(status: JobStatus, now_s: float) -> str:
    if status.finished_at is not None:
        return f"{'was ' if status.state is State.cancelled else ''}{status.state} {span(now_s - status.finished_at)} ago."
    if status.state is State.running and status.started_at is not None:
        return f"has been running for {span(now_s - status.started_at)}."
    since = "" if status.submitted_at is None else f"; it was submitted {span(now_s - status.submitted_at)} ago"
    return f"is {status.state}{since}."


def _waiting(status: JobStatus, limits: Sequence[LimitStatus], now_s: float) -> list[str]:
    name = status.limit or ""
    limit = next((limit for limit in limits if limit.name == name), None)
    if limit is None:
        return [f"It waits {waits_for(status)}: no worker has published this limit; start one whose code declares it."]
    bucket = next((bucket for bucket in limit.buckets if bucket.bucket == status.bucket), None)
    numbers = f"{limit.policy.rate}, {overridden(limit, limit.override, now_s)}" if limit.override else limit.policy.rate
    ahead = (status.position or 1) - 1
    place = "it is next in line" if ahead == 0 else f"{ahead} {'job is' if ahead == 1 else 'jobs are'} ahead of it"
    when = starts_in(status.eta_s)
    if status.eta_s is not None:
        when += f", at {clock_text(now_s + status.eta_s, now_s)}, if the jobs ahead of it start on time"
    return [
        f"It waits {waits_for(status)} ({numbers}): {_why(status, limit, bucket, now_s)}.",
        f"Its place is {ahead + 1}: {place}; it starts {when}.",
        _remedy(status, name),
    ]


def _why(status: JobStatus, limit: LimitStatus, bucket: BucketStatus | None, now_s: float) -> str:
    """What the limit lacks, with numbers."""
    capacity, next_s = limit.policy.capacity, bucket.next_token_s if bucket else None
    if status.reason == "paused" and limit.paused:
        return f"it was {paused(limit.paused, now_s)}"
    if status.reason == "frozen" and bucket is not None:
        return f"it is {frozen(bucket.frozen_s, bucket.frozen_reason, now_s)}"
    if status.reason == "concurrency":
        return f"{'its slot is' if capacity == 1 else f'all {capacity} slots are'} taken; one comes back when its job ends"
    if status.reason == "quota":
        return "it is spent" + (f"; the next period begins in {span(next_s)}" if next_s else "")
    tokens = "no token is" if bucket is None or bucket.tokens == 0 else f"{bucket.tokens} of {capacity} tokens are"
    return f"{tokens} there" + (f"; the next lands in {span(next_s)}" if next_s else "")


def _remedy(status: JobStatus, name: str) -> str:
    if status.reason == "paused":
        return f"Let it go on: python -m runner limits resume {name}"
    if status.reason == "frozen":
        return f"Release it before its time: python -m runner limits release {status.bucket}"
    return f"See the limit: python -m runner limits show {name}"


def _counts(status: JobStatus) -> list[str]:
    return [f"Attempts so far: {attempts(status)}."] if status.failures or status.crashes or status.throttled else []


def _error(status: JobStatus) -> list[str]:
    error = last_error(status)
    return [f"The last error was {error}"] if error else []
