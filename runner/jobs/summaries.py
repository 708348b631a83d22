"""A job in a few lines for a person: where it is, why, and what became of it. `explain` says more, in sentences."""

import json
from datetime import UTC, datetime

from runner.jobs.job import JobStatus, State
from runner.jobs.words import (
    JOBS,
    NO_WORKER,
    attempts,
    ends_in,
    failed_attempts,
    is_placed,
    last_error,
    paced,
    progress,
    scheduled,
    shared_by,
    starts_in,
    stopping,
    waits_for,
)


def summary(status: JobStatus) -> str:
    """Several lines, the first of which names the job and its state."""
    lines = [f"{status.id}  {status.task}  {status.state}"]
    if status.reason == NO_WORKER:
        lines.append(f"  waits     {waits_for(status)}; no live worker does")
    elif status.reason == JOBS or (status.state is State.waiting and not is_placed(status)):
        lines.append(f"  waits     {waits_for(status)}")
    elif status.state is State.waiting:
        when = f"{starts_in(status.eta_s)}{paced(status)}{ends_in(status)}"
        lines.append(f"  waits     {waits_for(status)}{shared_by(status)}, place {status.position}, {when}")
    elif status.state is State.scheduled:
        lines.append(f"  starts    {scheduled(status)}")
    if note := stopping(status):
        lines.append(f"  stopping  {note}")
    if status.attempt:
        lines.append(f"  attempts  {attempts(status)}")
    if said := progress(status):
        lines.append(f"  progress  {said}")
    if status.tags:
        lines.append(f"  tags      {' '.join(status.tags)}")
    if status.metadata:
        lines.append(f"  metadata  {json.dumps(status.metadata)}")
    if status.trace_id:
        lines.append(f"  trace     {status.trace_id}")
    times = [
        (name, at)
        for name, at in (
            *(("submitted", status.submitted_at), ("started", status.started_at), ("finished", status.finished_at)),
            ("deadline", None if status.state.is_final else status.deadline_at),
        )
        if at
    ]
    lines += [f"  {name:<9} {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f} UTC" for name, at in times]
    if status.state is State.succeeded:
        lines.append(f"  result    {json.dumps(status.result)}")
    lines += [f"  failed    {line}" for line in failed_attempts(status, 0)] if len(status.attempts) > 1 else []
    if error := last_error(status):
        lines.append(f"  error     {error}")
    return "\n".join(lines)


def watched(status: JobStatus) -> str:
    """One line for who watches a job: its state, and what it waits for or how far it is."""
    line = f"{status.id}  {status.task}  {status.state}"
    if said := progress(status):
        return f"{line}  {said}"
    if status.reason in (NO_WORKER, JOBS) or (status.state is State.waiting and not is_placed(status)):
        return f"{line} {waits_for(status)}"
    if status.state is State.waiting:
        return f"{line} {waits_for(status)}, place {status.position}"
    return f"{line} {scheduled(status)}" if status.state is State.scheduled else line


def note(status: JobStatus) -> str:
    """What there is to say of a job in a row of many: what it waits for, how far it is, or its error."""
    if status.state is State.waiting:
        place = "" if status.position is None else f", place {status.position}"
        return f"{waits_for(status)}{place}"
    if status.state is State.scheduled:
        return scheduled(status)
    if status.state is State.running:
        return stopping(status) or progress(status) or ""
    return (last_error(status) or "") if status.state is State.failed else ""
