"""The jobs that a task is to come after, as its caller names them: handles or ids, of the same queue."""

from collections.abc import Iterable, Sequence
from typing import Any

from runner.client import at_use
from runner.client.handle import BlockingHandle, JobHandle, async_of, calls_of
from runner.errors import InvalidOption
from runner.foreign import shown
from runner.jobs import check_job_id, checked_parents

AJob = JobHandle[Any] | BlockingHandle[Any] | str
Parents = AJob | Iterable[AJob]


def parent_ids(given: Sequence[Parents], own: "at_use.StoredJobs") -> tuple[str, ...]:
    """Their ids in Redis, each once. Raises `InvalidOption` for what is none, or of another queue."""
    found: list[str] = []
    for one in given:
        if isinstance(one, (JobHandle, BlockingHandle, str)):
            found.append(_id_of(one, own))
        elif isinstance(one, Iterable):
            found += [_id_of(each, own) for each in one]
        else:
            raise InvalidOption(f"after has {shown(one, 80)}: give handles or ids of jobs")
    return checked_parents(found)


def _id_of(one: object, own: "at_use.StoredJobs") -> str:
    if isinstance(one, str):
        return check_job_id(one)
    handle = async_of(one) if isinstance(one, BlockingHandle) else one
    if not isinstance(handle, JobHandle):
        raise InvalidOption(f"after has {shown(one, 80)}: give handles or ids of jobs")
    calls = calls_of(handle)
    if not isinstance(calls, at_use.StoredJobs):
        raise InvalidOption(f"after has job {handle.id!r}, which is known over HTTP only: give the id of a job of this queue")
    here, there = own.sessions, calls.sessions
    if (here.queue, here.settings.redis_url) != (there.queue, there.settings.redis_url):
        raise InvalidOption(
            f"after has job {handle.id!r} of queue {there.queue!r}, and this task is of queue {here.queue!r}: a job comes after jobs of its own queue"
        )
    return calls.stored_id(handle.id)
