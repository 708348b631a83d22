"""What a claim answers, and what a worker holds. Pure functions over bytes; the header of claim.lua gives the order of the fields."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from runner.errors import LeaseLost
from runner.jobs import StartedJob

HeldEntry = tuple[int, bytes, bytes]
"""An entry that Redis has delivered to a worker: number of the stream, entry id, job id. It is pending with this worker."""

_HEADER = 4
_FIELDS_A_JOB = 9
_LISTS = 2


class Claimed(NamedTuple):
    """What a claim started.

    `next_wake_us` is -1 when no job waits, or when the claim did not look. A `suspect` is a job that fails for good if it loses one
    more worker: the worker holds its entry, and claims it once it runs nothing else. With `alone` the claim has started a suspect.
    `unserved` are entries of tasks that the worker has said it does not have, `busy` those for which it has no room; `unreadable` those
    that were started, and whose job's id is no text, as none that this library gives. The worker holds all of them.
    `paused_after`: the queue is paused, so nothing was started and all that the worker holds it holds still; the change of pauses after which
    it is to ask again, or after `next_wake_us` (-1: no end is known).
    """

    jobs: list[StartedJob]
    next_wake_us: int
    dropped: int
    suspect: HeldEntry | None = None
    alone: bool = False
    unserved: Sequence[HeldEntry] = ()
    unreadable: Sequence[HeldEntry] = ()
    busy: Sequence[HeldEntry] = ()
    paused_after: bytes | None = None


def held_entries(reply: Any, number_of: dict[bytes, int]) -> list[HeldEntry]:
    """The entries of an XREADGROUP reply; one without a job id keeps an empty one, and the claim drops it."""
    return [
        (number_of[stream], entry, fields[1] if fields and fields[0] == b"id" else b"")
        for stream, rows in reply or ()
        for entry, fields in rows
    ]


def check_lease(worker: str, status: bytes) -> None:
    """Raises `LeaseLost` if claim.lua or heartbeat.lua says that the worker is unknown: its lease has lapsed."""
    if status == b"gone":
        raise LeaseLost(f"the lease of worker {worker} has lapsed; its jobs were given to others")


def claimed(worker: str, reply: list[Any], first: int = 0) -> Claimed:
    """The reply of claim.lua. `first`: the worker's number of the stream that this claim has numbered 0. Raises `LeaseLost`."""
    check_lease(worker, reply[0])
    if reply[0] == b"paused":
        return Claimed([], reply[1], 0, paused_after=reply[2])
    if first:
        _renumber(reply, first)
    more: dict[int, tuple[int, bytes]] = {}
    by_reason: dict[bytes, list[HeldEntry]] = {}
    if len(reply) % _FIELDS_A_JOB == _HEADER + _LISTS:
        extras, passed = iter(reply.pop()), iter(reply.pop())
        more = {place: (left_us, metadata) for place, left_us, metadata in zip(extras, extras, extras, strict=True)}
        for stream, entry, job_id, why in zip(passed, passed, passed, passed, strict=True):
            by_reason.setdefault(why, []).append((stream, entry, job_id))
    unserved, busy = by_reason.get(b"task", ()), by_reason.get(b"room", ())
    unreadable: tuple[HeldEntry, ...] = ()
    try:
        jobs = _started(reply[_HEADER:])
        for place, (left_us, metadata) in more.items():
            jobs[place] = jobs[place]._replace(deadline_us=left_us, metadata=metadata)
    except UnicodeDecodeError:
        jobs = []
        for place, at in enumerate(range(_HEADER, len(reply), _FIELDS_A_JOB)):
            try:
                left_us, metadata = more.get(place, (0, b""))
                jobs += [job._replace(deadline_us=left_us, metadata=metadata) for job in _started(reply[at : at + _FIELDS_A_JOB])]
            except UnicodeDecodeError:
                unreadable += ((reply[at], reply[at + 1], reply[at + 2]),)
    if not reply[3]:
        return Claimed(jobs, reply[1], reply[2], unserved=unserved, unreadable=unreadable, busy=busy)
    stream, entry, job_id = reply[3]
    return Claimed(jobs, reply[1], reply[2], None if not entry else (stream, entry, job_id), not entry, unserved, unreadable, busy)


def _renumber(reply: list[Any], first: int) -> None:
    has_lists = len(reply) % _FIELDS_A_JOB == _HEADER + _LISTS
    suspect, passed = reply[3], reply[-2] if has_lists else []
    for fields, places in ((suspect, range(len(suspect) and 1)), (passed, range(0, len(passed), 4))):
        for at in places:
            fields[at] += first
    for at in range(_HEADER, len(reply) - _LISTS * has_lists, _FIELDS_A_JOB):
        reply[at] += first


def _started(flat: list[Any]) -> list[StartedJob]:
    """The started jobs in a reply of claim.lua. Raises UnicodeDecodeError for an id that is no text: what is asked by another finds no job."""
    fields = iter(flat)
    return [
        StartedJob(
            stream,
            entry,
            job_id.decode(),
            task.decode(errors="backslashreplace"),
            args,
            attempt,
            failures,
            limits.decode(errors="backslashreplace"),
            spec.decode(errors="backslashreplace"),
        )
        for stream, entry, job_id, task, args, attempt, failures, limits, spec in zip(*[fields] * _FIELDS_A_JOB, strict=True)
    ]
