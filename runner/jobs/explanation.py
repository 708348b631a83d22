"""Why a job is where it is, in sentences with numbers, and what to do next. Pure: made of what the store answered."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from runner.jobs.job import JobStatus, State
from runner.jobs.pause_status import Pausable
from runner.jobs.words import (
    JOBS,
    NO_WORKER,
    attempts,
    clock_text,
    deadline,
    failed_attempts,
    frozen,
    is_placed,
    last_error,
    overridden,
    paced,
    paused,
    paused_by,
    progress,
    scheduled,
    shared_by,
    span,
    starts_in,
    stopping,
    waits_for,
)
from runner.limits import BucketStatus, LimitStatus


class _Commands(NamedTuple):
    """The commands that are told, each with the options that lead it to this queue: as it is printed, it works."""

    options: Sequence[str]

    def line(self, *words: str) -> str:
        return shlex.join(["python", "-m", "runner", *words, *self.options])


def explain(status: JobStatus, limits: Sequence[LimitStatus], now_s: float, options: Sequence[str] = (), after: str = "") -> list[str]:
    """Sentences for a person: where the job is, why, for how long, and the next command. `now_s` is seconds since 1970.

    `options` are those of the command line with which its commands find the queue; `after` the jobs that a held one comes after, in words.
    """
    commands = _Commands(options)
    head = f"Job {status.id} ({status.task}) {_state(status, now_s)}"
    if status.reason == NO_WORKER:
        return [head, *_without_worker(status, commands), *_counts(status, now_s)]
    if status.reason == JOBS:
        return [head, *_after_jobs(status, after, commands), *_counts(status, now_s)]
    if status.state is State.waiting and not is_placed(status):
        return [head, *_paused(status, now_s, commands), *_counts(status, now_s)]
    if status.state is State.waiting:
        return [head, *_waiting(status, limits, now_s, commands), *_counts(status, now_s)]
    if status.state is State.scheduled:
        return [head, f"It starts {scheduled(status)}.", *_error(status), *_counts(status, now_s)]
    if status.state is State.queued:
        return [
            head,
            "Its tokens are there, or it needs none: it starts as soon as a worker has a free slot.",
            *_counts(status, now_s),
            f"See who works: {commands.line('workers')}",
        ]
    if status.state is State.running:
        if note := stopping(status):
            return [
                head,
                f"{note[0].upper()}{note[1:]}.",
                *_counts(status, now_s),
                f"See whose slots are stuck: {commands.line('workers')}",
            ]
        return [head, *_progress(status, now_s), *_counts(status, now_s), f"Stop it: {commands.line('cancel', status.id)}"]
    again = [] if status.state is State.succeeded else [f"Run it again: {commands.line('retry', status.id)}"]
    return [head, *_error(status), *_counts(status, now_s), *again]


def _state(status: JobStatus, now_s: float) -> str:
    if status.finished_at is not None:
        return f"{'was ' if status.state is State.cancelled else ''}{status.state} {span(now_s - status.finished_at)} ago."
    if status.state is State.running and status.started_at is not None:
        return f"has been running for {span(now_s - status.started_at)}."
    since = "" if status.submitted_at is None else f"; it was submitted {span(now_s - status.submitted_at)} ago"
    return f"is {status.state}{since}."


def _waiting(status: JobStatus, limits: Sequence[LimitStatus], now_s: float, commands: _Commands) -> list[str]:
    if status.bucket is None:
        return [
            f"It waits {waits_for(status)}. It keeps no token from others meanwhile, and its place in its line.",
            f"See who reads which pool: {commands.line('pools')}",
        ]
    name = status.limit or ""
    limit = next((limit for limit in limits if limit.name == name), None)
    if limit is None:
        return [f"It waits {waits_for(status)}: no worker has published this limit; start one whose code declares it."]
    bucket = next((bucket for bucket in limit.buckets if bucket.bucket == status.bucket), None)
    held = _held_by(status, limit, bucket)
    numbers = f"{limit.policy.rate}, {overridden(limit, limit.override, now_s)}" if limit.override else limit.policy.rate
    ahead = (status.position or 1) - 1
    place = "it is next in line" if ahead == 0 else f"{ahead} {'job is' if ahead == 1 else 'jobs are'} ahead of it"
    when = starts_in(status.eta_s) + paced(status)
    if status.eta_s is not None:
        when += f", at {clock_text(now_s + status.eta_s, now_s)}, if the jobs ahead of it start on time"
    if status.end_eta_s is not None:
        when += f"; it ends in about {span(status.end_eta_s)}, if it runs as long as half of the runs of its task do"
    return [
        f"It waits {waits_for(status, held)}{shared_by(status)} ({numbers}): {_why(status, limit, bucket, now_s)}.",
        f"Its place is {ahead + 1}: {place}; it starts {when}.",
        _remedy(status, held, commands),
    ]


def _without_worker(status: JobStatus, commands: _Commands) -> list[str]:
    met = " Workers that met it are of versions that do not have it." if status.state is State.waiting else ""
    return [
        f"It waits {waits_for(status)}: no live worker does.{met} It starts as soon as one comes; no attempt is used meanwhile.",
        f"See who works, and what they serve: {commands.line('workers')} and {commands.line('tasks', 'list')}",
    ]


def _paused(status: JobStatus, now_s: float, commands: _Commands) -> list[str]:
    pause = status.pause
    if pause is None:
        return [f"It waits {waits_for(status)}: it goes on in a moment, in the order of before."]
    named = [pause.what.value] if pause.what is Pausable.queue else [pause.what.value, pause.name]
    return [
        f"It waits {waits_for(status)}, which was {paused_by(pause, now_s)}. It starts when that is over; no attempt is used meanwhile.",
        f"Let it go on: {commands.line('resume', *named)}",
    ]


def _after_jobs(status: JobStatus, after: str, commands: _Commands) -> list[str]:
    return [
        f"It waits {waits_for(status, after)}: it is let go once they have ended, or ended with them if it is to be.",
        f"Stop it: {commands.line('cancel', status.id)}",
    ]


def _held_by(status: JobStatus, limit: LimitStatus, bucket: BucketStatus | None) -> str:
    """What keeps the job: its bucket, or the whole limit if that is paused, or frozen for longer than the bucket by itself."""
    whole = status.reason == "paused" or (status.reason == "frozen" and limit.frozen_s >= (bucket.frozen_s if bucket else 0) > 0)
    return limit.name if whole or status.bucket is None else status.bucket


def _why(status: JobStatus, limit: LimitStatus, bucket: BucketStatus | None, now_s: float) -> str:
    """What the limit lacks, with numbers."""
    capacity, next_s = limit.policy.capacity, bucket.next_token_s if bucket else None
    if status.reason == "paused" and limit.paused:
        return f"it was {paused(limit.paused, now_s)}"
    if status.reason == "paused" and status.shared is not None:
        return "it is paused at its home, for all queues that share it"
    if status.reason == "frozen" and bucket is not None:
        return f"it is {frozen(bucket.frozen_s, bucket.frozen_reason, now_s)}"
    if status.reason == "concurrency":
        return f"{'its slot is' if capacity == 1 else f'all {capacity} slots are'} taken; one comes back when its job ends"
    if status.reason == "quota":
        return "it is spent" + (f"; the next period begins in {span(next_s)}" if next_s else "")
    if status.shared is not None:
        return "no token for it is in the hand of this queue"
    tokens = "no token is" if bucket is None or bucket.tokens == 0 else f"{bucket.tokens} of {capacity} tokens are"
    return f"{tokens} there" + (f"; the next lands in {span(next_s)}" if next_s else "")


def _remedy(status: JobStatus, held: str, commands: _Commands) -> str:
    if status.reason == "paused":
        return f"Let it go on: {commands.line('limits', 'resume', held)}"
    if status.reason == "frozen":
        return f"Release it before its time: {commands.line('limits', 'release', held)}"
    return f"See the limit: {commands.line('limits', 'show', status.limit or '')}"


def _counts(status: JobStatus, now_s: float) -> list[str]:
    """What there was of attempts, and until when there can be more."""
    counts = [f"Attempts so far: {attempts(status)}."] if status.failures or status.crashes or status.throttled else []
    several = failed_attempts(status, now_s) if len(status.attempts) > 1 else []
    until = deadline(status, now_s)
    return [*counts, *(f"Attempt {one}" for one in several), *([f"Its deadline is {until}."] if until else [])]


def _progress(status: JobStatus, now_s: float) -> list[str]:
    said = progress(status)
    return [f"It said {span(now_s - status.progress.at)} ago how far it is: {said}."] if said and status.progress else []


def _error(status: JobStatus) -> list[str]:
    error = last_error(status)
    return [f"The last error was {error}"] if error else []
