"""Why a job is where it is, in sentences with numbers, and what to do next. Pure: told from what the store says."""

import json
from collections.abc import Sequence

from runner.jobs.job import JobStatus, State
from runner.jobs.words import clock_text, frozen, overridden, paused, span
from runner.limits import BucketStatus, LimitStatus


def explain(status: JobStatus, limits: Sequence[LimitStatus], now_s: float) -> list[str]:
    """Sentences for a person: where the job is, why, for how long, and the next command. `now_s` is seconds since 1970."""
    head = f"Job {status.id} ({status.task}) {_told(status, now_s)}"
    if status.state is State.waiting:
        return [head, *_waiting(status, limits, now_s), *_counts(status)]
    if status.state is State.scheduled:
        why = "after a failed attempt" if status.reason == "retry" else "because it was submitted with a delay"
        return [head, f"It starts in about {span(status.eta_s or 0)}, {why}.", *_error(status), *_counts(status)]
    if status.state is State.queued:
        return [
            head,
            "Its tokens are there, or it needs none: it starts as soon as a worker has a free slot.",
            "See who works: python -m runner workers",
        ]
    if status.state is State.running:
        if status.cancel_requested or status.reason == "stopping":
            why = "It was asked to stop" if status.cancel_requested else "Its time is over"
            note = f"{why}, and it ends when its handler does; until then its slot stays taken."
            return [head, note, *_counts(status), "See whose slots are stuck: python -m runner workers"]
        return [head, *_counts(status), f"Stop it: python -m runner cancel {status.id}"]
    again = [] if status.state is State.succeeded else [f"Run it again: python -m runner retry {status.id}"]
    return [head, *_error(status), *_counts(status), *again]


def _told(status: JobStatus, now_s: float) -> str:
    if status.finished_at is not None:
        return f"{'was ' if status.state is State.cancelled else ''}{status.state} {span(now_s - status.finished_at)} ago."
    if status.state is State.running and status.started_at is not None:
        return f"has been running for {span(now_s - status.started_at)}."
    since = "" if status.submitted_at is None else f"; it was submitted {span(now_s - status.submitted_at)} ago"
    return f"is {status.state}{since}."


def _waiting(status: JobStatus, limits: Sequence[LimitStatus], now_s: float) -> list[str]:
    name = (status.limit or "").partition("/")[0]
    limit = next((limit for limit in limits if limit.name == name), None)
    if limit is None:
        return [f"It waits for limit {name!r}, which no worker has published; start a worker whose code declares it."]
    bucket = next((bucket for bucket in limit.buckets if bucket.bucket == status.limit), None)
    sentences = [_reason(status, limit, bucket, now_s)]
    ahead = (status.position or 1) - 1
    place = "it is next in line" if ahead == 0 else f"{ahead} {'job is' if ahead == 1 else 'jobs are'} ahead of it"
    when = "nobody can know when it starts"
    if status.eta_s is not None:
        when = (
            f"it starts in about {span(status.eta_s)}, at {clock_text(now_s + status.eta_s, now_s)}, if what is ahead of it starts on time"
        )
    sentences.append(f"Its place is {ahead + 1}: {place}; {when}.")
    sentences.append(_remedy(status, name))
    return sentences


def _reason(status: JobStatus, limit: LimitStatus, bucket: BucketStatus | None, now_s: float) -> str:
    policy = limit.policy
    what = f"limit {status.limit!r} ({policy.rate}" + (f", {overridden(limit, limit.override, now_s)})" if limit.override else ")")
    if status.reason == "paused" and limit.paused:
        return f"It waits because {what} was {paused(limit.paused, now_s)}."
    if status.reason == "frozen" and bucket is not None:
        return f"It waits because {what} is {frozen(bucket.frozen_s, bucket.frozen_reason, now_s)}."
    if status.reason == "concurrency":
        taken = "its slot is" if policy.capacity == 1 else f"all {policy.capacity} slots are"
        return f"It waits for {what}: {taken} taken; one comes back when its job ends."
    if status.reason == "quota":
        period = "" if bucket is None or not bucket.next_token_s else f"; the next period begins in {span(bucket.next_token_s)}"
        return f"It waits because {what} is spent{period}."
    tokens = "no token is" if bucket is None or bucket.tokens == 0 else f"{bucket.tokens} of {policy.capacity} tokens are"
    landing = f"; the next lands in {span(bucket.next_token_s)}" if bucket is not None and bucket.next_token_s else ""
    return f"It waits for {what}: {tokens} there{landing}."


def _remedy(status: JobStatus, name: str) -> str:
    if status.reason == "paused":
        return f"Let it go on: python -m runner limits resume {name}"
    if status.reason == "frozen":
        return f"Release it before its time: python -m runner limits release {status.limit}"
    return f"See the limit: python -m runner limits show {name}"


def _counts(status: JobStatus) -> list[str]:
    parts = [
        f"{count} {word}"
        for count, word in (
            (status.failures, "failed"),
            (status.crashes, "lost with a worker"),
            (status.throttled, "told to wait by the provider"),
        )
        if count
    ]
    return [f"Attempts so far: {status.attempt}, of these {', '.join(parts)}."] if parts else []


def _error(status: JobStatus) -> list[str]:
    if not status.error:
        return []
    message = str(status.error.get("message"))
    return [f"The last error was {status.error.get('type')}: {message if message.isprintable() else json.dumps(message)}"]
