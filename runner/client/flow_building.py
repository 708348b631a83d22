"""How flows are stored: what is refused of a follower or a member, how a batch begins, and how a job gets the nodes that do not go along with it."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from runner.errors import InvalidOption, SubmissionRefused, UnknownParent
from runner.jobs import MOST_AT_ONCE, Acceptance, BatchNotOpen, OtherJob, Submission
from runner.store import JobStore, Opened, Sealing, node_of_batch

_OVER = "its parents were not named within 10 minutes, and it was dropped: submit it again"


async def begin_batch(
    store: JobStore,
    batch_id: str,
    on_failure: str,
    size: int,
    then: Submission[Any] | None,
    submit: Callable[[Submission[Any]], Awaitable[object]],
    most_backlog: int | None = None,
) -> Opened:
    """Open a batch, by its id in Redis, and `submit` the job that follows it, unless it has one. It can be repeated.

    Raises `InvalidOption` for a job that cannot follow it, `BacklogFull`, `BatchNotOpen`, and what the submission raises.
    """
    if then is not None:
        features = json.loads(then.features or "{}")
        if "follow" in features or features.get("of_batch") == batch_id:
            raise InvalidOption(
                f"job {_shown(then.id)} follows batch {_shown(batch_id)!r}: it comes after no other job, and is none of that batch"
            )
        then = then.with_features(ends_batch=batch_id, on_failure=on_failure)
    opened = await store.open_batch(batch_id, on_failure, size, most_backlog)
    if then is None or (opened is not Opened.new and await _has_follower(store, batch_id)):
        return opened  # of a call before, whose job has a random id as a rule
    await submit(then)
    if not await _has_follower(store, batch_id):  # that job was there before, by its id, or as it is unique
        raise BatchNotOpen(
            f"job {_shown(then.id)}, which is to follow batch {_shown(batch_id)!r}, is there already, and does not: give it another id"
        )
    return opened


async def _has_follower(store: JobStore, batch_id: str) -> bool:
    known = await store.members(node_of_batch(batch_id))
    return known is not None and known.batch is not None and known.batch.then is not None


async def end_submission(store: JobStore, job: Submission, state: Acceptance | OtherJob) -> None:
    """Raises what a follower or a member is refused for; names the parents that do not go along, and enters what was there into its batch."""
    if isinstance(state, Acceptance):
        await _end_one(store, job, state)
    if await _join(store, [(0, job, state)]):
        raise sealed_batch(_batch_of(job))


async def _end_one(store: JobStore, job: Submission, state: Acceptance) -> None:
    if (refusal := refusal_of(job, state)) is not None:
        raise refusal
    if len(job.after) > MOST_AT_ONCE:
        await name_parents(store, job, state)


async def _join(store: JobStore, jobs: Iterable[tuple[int, Submission, Acceptance | OtherJob]]) -> set[int]:
    """Enter into their batches what was there before it was submitted; which of them a sealed batch does not take. Repeatable."""
    joining: dict[str, dict[int, str]] = {}
    for index, job, state in jobs:
        found = state if isinstance(state, Acceptance) else state.state
        if found is Acceptance.existing and '"of_batch"' in job.features:
            joining.setdefault(_batch_of(job), {})[index] = state.id if isinstance(state, OtherJob) else job.id
    refused: set[int] = set()
    for batch_id, ids in joining.items():
        if (await store.link(node_of_batch(batch_id), list(ids.values()))).over:
            refused.update(ids)
    return refused


async def end_submissions(
    store: JobStore, jobs: Sequence[Submission], states: Sequence[Acceptance | OtherJob], *, return_refused: bool
) -> list[Acceptance | OtherJob]:
    """The same for many: what each was answered. Raises the first refusal, once all others are done, unless `return_refused`."""
    told, refused = list(states), dict[int, SubmissionRefused]()
    for index, (job, state) in enumerate(zip(jobs, states, strict=True)):
        if not job.features or not isinstance(state, Acceptance) or state is Acceptance.conflict:
            continue
        try:
            await _end_one(store, job, state)
        except SubmissionRefused as error:
            refused[index] = error
    for index in await _join(store, zip(range(len(jobs)), jobs, states, strict=True)):
        refused.setdefault(index, sealed_batch(_batch_of(jobs[index])))
    if refused and not return_refused:
        first = min(refused)
        refused[first].index = first
        raise refused[first]
    for index, why in refused.items():
        told[index] = Acceptance.no_parent if isinstance(why, UnknownParent) else Acceptance.sealed
    return told


def refusal_of(job: Submission, state: Acceptance) -> SubmissionRefused | None:
    """Why the job was not stored, if that is because of what it is to come after, or of its batch."""
    if state is Acceptance.no_parent:
        return unknown_parent(job, ", ".join(job.after[:5]) + (", ..." if len(job.after) > 5 else ""))
    if state is Acceptance.no_batch:
        return BatchNotOpen(f"job {_shown(job.id)} is of batch {_shown(_batch_of(job))!r}, and there is none: begin it first")
    return sealed_batch(_batch_of(job)) if state is Acceptance.sealed else None


def unknown_parent(job: Submission, parents: str) -> UnknownParent:
    """A parent that there is not."""
    return UnknownParent(f"job {job.id} is to come after {parents}, and there is no such job: never submitted, or its record has expired")


def sealed_batch(batch_id: str) -> BatchNotOpen:
    """A batch that takes no more."""
    return BatchNotOpen(f"batch {_shown(batch_id)!r} is sealed, or has another job that follows it: give another id")


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


def _shown(stored_id: str) -> str:
    """As its caller knows it: of a tenant without the tenant."""
    return stored_id.rpartition("/")[2]


def _batch_of(job: Submission) -> str:
    features = json.loads(job.features or "{}")
    return str(features.get("of_batch") or features.get("ends_batch", ""))
