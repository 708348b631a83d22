"""What is refused of a follower or a member, and how a follower gets the parents that do not go along with its submission."""

import json
from collections.abc import Sequence

from runner.errors import InvalidOption, SubmissionRefused, UnknownParent
from runner.jobs import MOST_AT_ONCE, Acceptance, OtherJob, Submission
from runner.store import JobStore, Sealing

_OVER = "its parents were not named within 10 minutes, and it was dropped: submit it again"


async def end_submission(store: JobStore, job: Submission, state: Acceptance) -> None:
    """Raises what a follower or a member is refused for; names the parents that do not go along."""
    refusal = refusal_of(job, state)
    if refusal is not None:
        raise refusal
    if len(job.after) > MOST_AT_ONCE:
        await name_parents(store, job, state)


async def end_submissions(
    store: JobStore, jobs: Sequence[Submission], states: Sequence[Acceptance | OtherJob], *, return_refused: bool
) -> list[Acceptance | OtherJob]:
    """The same for many: what each was answered. Raises the first refusal, once all others are done, unless `return_refused`."""
    told, first = list(states), None
    for index, (job, state) in enumerate(zip(jobs, states, strict=True)):
        if not job.features or not isinstance(state, Acceptance) or state is Acceptance.conflict:
            continue
        try:
            await end_submission(store, job, state)
        except SubmissionRefused as error:
            error.index = index
            first = first or error
            told[index] = Acceptance.no_parent if isinstance(error, UnknownParent) else state
    if first is not None and not return_refused:
        raise first
    return told


def refusal_of(job: Submission, state: Acceptance) -> SubmissionRefused | None:
    """Why the job was not stored, if that is because of what it is to come after, or of its batch."""
    if state is Acceptance.no_parent:
        return unknown_parent(job, ", ".join(job.after[:5]) + (", ..." if len(job.after) > 5 else ""))
    if state is Acceptance.no_batch:
        return InvalidOption(f"job {job.id} is of batch {_batch_of(job)!r}, and there is none: open it first")
    return sealed_batch(_batch_of(job)) if state is Acceptance.sealed else None


def unknown_parent(job: Submission, parents: str) -> UnknownParent:
    """A parent that there is not."""
    return UnknownParent(f"job {job.id} is to come after {parents}, and there is no such job: never submitted, or its record has expired")


def sealed_batch(batch_id: str) -> InvalidOption:
    """A batch that takes no more."""
    return InvalidOption(f"batch {batch_id!r} is sealed, or has another job that follows it: give another id")


async def name_parents(store: JobStore, job: Submission, state: Acceptance) -> None:
    """Name the parents that did not go along, hundreds a call, then let the follower go on. Raises `UnknownParent`: nothing is stored then.

    It can be repeated, with the whole submission.
    """
    linked = await store.link(job.id, job.after, 0)
    if linked.unknown:
        await store.drop(job.id)
        raise unknown_parent(job, linked.unknown)
    if linked.over:
        if state is Acceptance.existing:
            return  # a job of this id that comes after others, or after none
        raise UnknownParent(f"job {job.id}: {_OVER}")
    sealing, count = await store.seal(job.id, len(job.after))
    if sealing is not Sealing.sealed and state is not Acceptance.existing:
        raise UnknownParent(f"job {job.id}: {count} of its {len(job.after)} parents are named; {_OVER}")


def _batch_of(job: Submission) -> str:
    features = json.loads(job.features or "{}")
    return str(features.get("of_batch") or features.get("ends_batch", ""))
