"""A job's place and history, times, and what holds a limit, in words: the same for `explain` and for the command line."""

import json
from collections import Counter
from datetime import UTC, datetime

from runner.jobs.attempt_record import AttemptRecord
from runner.jobs.foresight import BatchForesight, Foresight
from runner.jobs.job import Acceptance, JobStatus
from runner.jobs.pause_status import PauseStatus
from runner.limits import LimitStatus, Override, Pause, Reset
from runner.names import DEFAULT_POOL, base_pool, is_process_pool


def clock_text(at_s: float, now_s: float) -> str:
    """An instant in UTC, with its date if that is not today's."""
    at, now = datetime.fromtimestamp(at_s, UTC), datetime.fromtimestamp(now_s, UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


NO_WORKER = "no worker"
"""The reason of a job whose task no live worker serves that reads its pool."""
PAUSED = "paused"
"""The reason of a job that waits for the end of a pause."""
JOBS = "jobs"
"""The reason of a job that comes after others which have not ended."""
_SCHEDULED = {
    "retry": "after a failed attempt",
    "slots": "when a worker may have a free child process, as that which met it had none",
    "bounced": "when a worker of another version may take it, as the one that met it cannot run it",
}


def waits_for(status: JobStatus, held_by: str | None = None) -> str:
    """What a waiting job waits for: its bucket, or what else is said to hold it."""
    if status.pause is not None:
        return f"for the end of the pause of {_safe(status.pause.target)}"
    if status.reason == PAUSED and status.bucket is None:
        return f"for its place, as the pause of task {_safe(status.task)} is over"
    pool = base_pool(status.pool)
    of_pool = "" if pool == DEFAULT_POOL else f" and reads pool {_safe(pool)}"
    if status.reason == NO_WORKER:
        return f"for a worker that serves task {_safe(status.task)}{of_pool}"
    if status.reason == "slots" and is_process_pool(status.pool):
        return f"for a free child process of the workers that read pool {_safe(base_pool(status.pool))}"
    if status.reason == "slots":
        return f"for a free slot of the workers that read pool {_safe(status.pool)}"
    if status.reason == JOBS:
        return f"for {held_by or 'the jobs that it comes after'}"
    return f"{_WAITS.get(status.reason or '', status.reason)} {_safe(held_by or status.bucket or '')}"


def shared_by(status: JobStatus) -> str:
    """After the limit that a job waits for: how many queues share it; nothing if it is the queue's own."""
    if status.shared is None:
        return ""
    return f", shared by {status.shared.queues} queues" if status.shared.queues > 1 else ", shared, and used by this queue alone just now"


def paced(status: JobStatus | Foresight) -> str:
    """After the time of its start: by what that was estimated at a shared limit, or why it was not."""
    if status.shared is None:
        return ""
    if status.shared.is_away:
        return f": no word has come from the home of the limit for {span(status.shared.silent_s)}"
    return f" (this queue gets {status.shared.words})" if status.shared.words and status.eta_s is not None else ""


_WAITS = {
    "tokens": "for tokens of",
    "concurrency": "for a slot of",
    "quota": "for the next period of",
    "frozen": "for the end of the freeze of",
    "paused": "for the end of the pause of",
    "unpublished": "for a worker that declares",
}


def starts_in(seconds: float | None) -> str:
    """When a job starts that does not run yet."""
    return "at an unknown time" if seconds is None else f"in about {span(seconds)}"


def ends_in(status: JobStatus | Foresight) -> str:
    """When a job ends that does not run yet, after the words for its start; nothing if that is unknown."""
    return "" if status.end_eta_s is None else f", ends in about {span(status.end_eta_s)}"


def foretold(told: Foresight) -> list[str]:
    """What would become of a job, in lines for a person."""
    state = f"there already, as job {_safe(told.id)}" if told.id is not None else told.state.value
    lines = [f"{_safe(told.task)}  would be {state}"]
    if told.reason in _WAITS and told.bucket is not None:
        lines.append(f"  waits     {_WAITS[told.reason]} {_safe(told.bucket)}, place {told.position}")
    elif told.reason is not None:
        lines.append(f"  waits     {_FORETOLD.get(told.reason, told.reason)}")
    if told.state is not Acceptance.failed:
        lines.append(f"  starts    {starts_in(told.eta_s)}{paced(told)}{ends_in(told)}")
    if told.earliest_s > 0:
        lines.append(f"  earliest  in {span(told.earliest_s)}, as the limits are")
    return lines


def foretold_batch(told: BatchForesight) -> list[str]:
    """What would become of jobs that are submitted together, in lines for a person."""
    states = Counter(job.state.value for job in told.jobs)
    lines = [f"{len(told.jobs)} jobs  would be {', '.join(f'{count} {state}' for state, count in states.items())}"]
    if told.created:
        ends = "" if told.end_eta_s is None else f", and has ended in about {span(told.end_eta_s)}"
        lines.append(f"  the last  starts {starts_in(told.eta_s)}{ends}")
    return lines


_FORETOLD = {
    JOBS: "for the jobs that it comes after",
    PAUSED: "for the end of a pause",
    "delay": "until its time",
    NO_WORKER: "for a worker with its task; no live worker has it",
}


def scheduled(status: JobStatus) -> str:
    """When and why a job starts later."""
    why = _SCHEDULED.get(status.reason or "", "because it was submitted with a delay")
    return f"{starts_in(status.eta_s)}, {why}"


def stopping(status: JobStatus) -> str | None:
    """Why a running job should stop, and when it does; None if it should not."""
    if not status.cancel_requested and status.reason != "stopping":
        return None
    why = "it was asked to stop" if status.cancel_requested else "its time is over"
    return f"{why}, and it ends when its handler does; until then its slot stays taken"


def attempts(status: JobStatus) -> str:
    """How many attempts there were, and what became of those that did not count."""
    counts = ((status.failures, "failed"), (status.crashes, "lost with a worker"), (status.throttled, "throttled by the provider"))
    parts = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{status.attempt}, of these {parts}" if parts else str(status.attempt)


def failed_attempts(status: JobStatus, now_s: float) -> list[str]:
    """What is known of each failed attempt, if there were several: when, for how long, where, and why."""
    return [
        f"{one.attempt} at {clock_text(one.started_at, now_s)} for {span(one.ran_s)} on {_safe(one.worker)}: {_why_failed(one)}"
        for one in status.attempts
    ]


def _why_failed(one: AttemptRecord) -> str:
    return _safe(one.type) + (f": {_safe(one.message)}" if one.message else "")


def deadline(status: JobStatus, now_s: float) -> str | None:
    """Until when all of a job must have happened that has not ended; None if it may take as long as it does."""
    if status.deadline_at is None or status.state.is_final:
        return None
    return f"{clock_text(status.deadline_at, now_s)}, in {span(status.deadline_at - now_s)}"


def progress(status: JobStatus) -> str | None:
    """How far its latest attempt is, as its handler has said it; None if it has not."""
    said = status.progress
    if said is None:
        return None
    part = said.fraction
    amount = f"{said.done:.15g}" if said.total is None else f"{said.done:.15g} of {said.total:.15g}"
    return amount + ("" if part is None else f" ({part:.0%})") + (f": {_safe(said.note)}" if said.note else "")


def last_error(status: JobStatus) -> str | None:
    """The error of the last attempt."""
    return f"{status.error.type}: {_safe(status.error.message)}" if status.error else None


def overridden(limit: LimitStatus, override: Override, now_s: float) -> str:
    """Until when and why other numbers are in force, and what the code says."""
    until = "restored" if override.until is None else clock_text(override.until.timestamp(), now_s)
    return f"overridden until {until}: {_given(override.reason)}; the code says {limit.code.words}"


def paused(pause: Pause, now_s: float) -> str:
    """Since when and why nothing starts under a limit."""
    return f"paused {span(now_s - pause.since.timestamp())} ago: {_given(pause.reason)}"


def paused_by(pause: PauseStatus, now_s: float) -> str:
    """Since when, by whom and why something is paused, and until when."""
    by = f" by {_safe(pause.by)}" if pause.by else ""
    until = "" if pause.until_at is None else f", until {clock_text(pause.until_at, now_s)}"
    return f"paused {span(now_s - pause.since_at)} ago{by}{until}: {_given(_safe(pause.reason))}"


def is_placed(status: JobStatus) -> bool:
    """Whether a waiting job has a place in a line, and a time."""
    return status.reason not in (NO_WORKER, JOBS) and status.pause is None and (status.reason != PAUSED or status.bucket is not None)


def was_reset(reset: Reset, now_s: float) -> str:
    """When and why what had been spent was forgiven."""
    return f"{reset.bucket} reset {span(now_s - reset.at.timestamp())} ago: {_given(reset.reason)}"


def frozen(seconds: float, reason: str | None, now_s: float) -> str:
    """Until when and why nothing starts at a bucket."""
    return f"frozen until {clock_text(now_s + seconds, now_s)}, for another {span(seconds)}: {_given(reason)}"


def _safe(text: str) -> str:
    """A text from elsewhere. Characters that could command a terminal are escaped."""
    return text if text.isprintable() else json.dumps(text)


def _given(reason: str | None) -> str:
    return reason or "no reason given"
