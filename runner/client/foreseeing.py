"""Foreseeing: what would become of jobs that are submitted now, and the refusal of those that cannot make their deadlines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.client.batcher import Batcher
from runner.clock import MICROSECONDS, seconds_or_none
from runner.jobs import JOBS, MOST_AT_ONCE, NO_WORKER, Acceptance, DeadlineOutOfReach, Foresight, JobStatus, OtherJob, Submission
from runner.store import Depth, Earliest, Forecast, JobStore, fitting_jobs

_DELAY, _PAUSED = "delay", "paused"


class Deadlines:
    """The check of jobs with a deadline, before they are stored. Those that are submitted at the same time share its calls."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._looks: Batcher[Submission, None] = Batcher(self._look, fitting=fitting_jobs)

    async def check(self, job: Submission) -> None:
        """Raises `DeadlineOutOfReach`, `StoreUnavailable`."""
        await self._looks.ask(job)

    async def check_all(self, jobs: Sequence[Submission]) -> None:
        """The same of many; each as if it were the first of them. Raises `DeadlineOutOfReach` for the first, with its index."""
        late = await self._store.out_of_reach(jobs)
        if late:
            index = min(late)
            error = out_of_reach(jobs[index], late[index])
            error.index = index
            raise error

    async def close(self) -> None:
        """Wait for the looks that are under way."""
        await self._looks.close()

    async def _look(self, jobs: Sequence[Submission]) -> list[Exception | None]:
        late = await self._store.out_of_reach(jobs)
        return [out_of_reach(job, late[at]) if at in late else None for at, job in enumerate(jobs)]


def out_of_reach(job: Submission, earliest: Earliest) -> DeadlineOutOfReach:
    """That a job cannot start before its deadline."""
    deadline_s, earliest_s = job.deadline_us / MICROSECONDS, earliest.wait_us / MICROSECONDS
    why = f", by limit {earliest.bucket!r} and the jobs that are ahead of it in its line" if earliest.bucket else ", as its submission says"
    error = DeadlineOutOfReach(
        f"job {job.id.rpartition('/')[2]!r} of task {job.task!r} is to have ended {deadline_s:g} s from now (deadline), and starts in"
        f" {earliest_s:g} s at the earliest{why}: give a later deadline, another priority, or submit it later"
    )
    error.earliest_s = earliest_s
    return error


async def foresights_of(store: JobStore, jobs: Sequence[Submission], most_backlog: int | None) -> list[Foresight | Acceptance | OtherJob]:
    """What becomes of jobs that are submitted together, in this order; an answer that the submission of one raises is given back.

    Raises `BacklogFull`, `StoreFull`, `StoreUnavailable`.
    """
    repeated = _among_themselves(jobs)
    first = [at for at in range(len(jobs)) if at not in repeated]
    forecasts = dict(zip(first, await store.foresee_many([jobs[at] for at in first], most_backlog), strict=True))
    parentless = await _parentless(store, jobs, forecasts)
    found: dict[int, Foresight | Acceptance | OtherJob] = {}
    there: dict[int, tuple[Acceptance, str]] = {}
    for at, forecast in forecasts.items():
        answer = Acceptance.no_parent if at in parentless else forecast.answer
        if answer is None or (answer is Acceptance.no_parent and at not in parentless):
            found[at] = new_job(jobs[at], forecast)
        elif isinstance(answer, OtherJob) and answer.state is not Acceptance.duplicate:
            there[at] = answer.state, answer.id
        elif answer is Acceptance.existing:
            there[at] = answer, jobs[at].id
        else:
            found[at] = answer
    statuses = await store.get([job_id for _, job_id in there.values()], Depth.state) if there else []
    for (at, (state, job_id)), status in zip(there.items(), statuses, strict=True):
        run_s = seconds_or_none(forecasts[at].runs_us)
        found[at] = _of_status(status, state, job_id, run_s) if status else Foresight(jobs[at].task, state, job_id, run_s=run_s)
    for at, (before, answer) in repeated.items():
        found[at] = _repeated(jobs[before], found[before], answer)
    return [found[at] for at in range(len(jobs))]


def refused_foresight(job: Submission, answer: Acceptance | OtherJob) -> Foresight:
    """Of one that would be refused, as its handle is told it."""
    state = answer.state if isinstance(answer, OtherJob) else answer
    state = Acceptance.sealed if state is Acceptance.no_batch else state
    return Foresight(job.task, state, answer.id if isinstance(answer, OtherJob) else job.id)


def _among_themselves(jobs: Sequence[Submission]) -> dict[int, tuple[int, Acceptance]]:
    """Which of them are there already once those before them are in: the place of the other, and what they are answered."""
    ids, marks, found = dict[str, int](), dict[str, int](), dict[int, tuple[int, Acceptance]]()
    for at, job in enumerate(jobs):
        before = ids.setdefault(job.id, at)
        if before != at:
            found[at] = before, Acceptance.existing if _is_same(jobs[before], job) else Acceptance.conflict
            continue
        unique = json.loads(job.features).get("unique", {}) if job.features else {}
        before = marks.setdefault(unique["mark"], at) if unique else at
        if before != at:
            found[at] = before, _OF_UNIQUE[unique["duplicate"]]
    return found


_OF_UNIQUE = {"return": Acceptance.existing, "refuse": Acceptance.duplicate, "replace": Acceptance.replaced}


def _is_same(one: Submission, other: Submission) -> bool:
    if one.task != other.task:
        return False
    return one.call == other.call if one.call and other.call else one.args == other.args


def _repeated(job: Submission, told: Foresight | Acceptance | OtherJob, answer: Acceptance) -> Foresight | Acceptance | OtherJob:
    """What the second of two alike is told, if that is told of the first. Of a first that is refused they are alike in that."""
    if not isinstance(told, Foresight) or answer is Acceptance.conflict:
        return told if isinstance(told, Acceptance) else answer
    job_id = told.id or job.id
    return OtherJob(answer, job_id) if answer is Acceptance.duplicate else replace(told, state=answer, id=job_id)


def new_job(job: Submission, forecast: Forecast) -> Foresight:
    """Of one that is not there yet."""
    told = Foresight(
        job.task,
        Acceptance.queued,
        earliest_s=forecast.earliest.wait_us / MICROSECONDS,
        run_s=seconds_or_none(forecast.runs_us),
        pause=forecast.pause,
        shared=forecast.estimate and forecast.estimate.pace,
    )
    features: Mapping[str, Any] = json.loads(job.features or "{}")
    if "follow" in features or "ends_batch" in features:
        return _waits(told, JOBS)
    estimate = forecast.estimate
    if forecast.fails:
        return _waits(told, None, Acceptance.failed)
    if forecast.pause is not None:
        return _waits(told, _PAUSED)
    if not forecast.is_served:
        return _waits(told, NO_WORKER, Acceptance.queued)
    tokens_us = 0 if estimate is None else estimate.eta_us
    starts_us = None if tokens_us is None else max(tokens_us, forecast.slot_us or 0)
    if job.delay_us:
        starts_us = None if starts_us is None else max(starts_us, forecast.earliest.wait_us)
        return _waits(told, _DELAY, Acceptance.scheduled, eta_us=starts_us)
    if estimate is not None and tokens_us != 0:
        return _waits(told, estimate.reason, bucket=estimate.bucket, position=estimate.position, eta_us=starts_us)
    return _waits(told, None, Acceptance.queued, eta_us=None if forecast.slot_us is None else starts_us)


def _waits(
    told: Foresight,
    reason: str | None,
    state: Acceptance = Acceptance.waiting,
    *,
    bucket: str | None = None,
    position: int | None = None,
    eta_us: int | None = None,
) -> Foresight:
    eta_s = seconds_or_none(eta_us)
    end_s = None if eta_s is None or told.run_s is None else eta_s + told.run_s
    return replace(told, state=state, reason=reason, bucket=bucket, position=position, eta_s=eta_s, end_eta_s=end_s)


def _of_status(status: JobStatus, state: Acceptance, job_id: str, run_s: float | None) -> Foresight:
    place = (status.reason, status.bucket, status.position, status.eta_s, status.end_eta_s)
    return Foresight(status.task, state, job_id, *place, run_s=run_s, pause=status.pause, shared=status.shared)


async def _parentless(store: JobStore, jobs: Sequence[Submission], forecasts: Mapping[int, Forecast]) -> set[int]:
    """Which of them come after a job that is neither there nor submitted before them. Of many parents none goes along with its job."""
    wanted: dict[int, list[str]] = {}
    before: set[str] = set()
    for at, job in enumerate(jobs):
        answer = forecasts[at].answer if at in forecasts else Acceptance.existing
        if answer is Acceptance.no_parent or (answer is None and len(job.after) > MOST_AT_ONCE):
            wanted[at] = [parent for parent in job.after if parent not in before]
        before.add(job.id)
    ids = list({parent: None for parents in wanted.values() for parent in parents})
    known = dict(zip(ids, await store.get(ids, Depth.state) if ids else [], strict=True))
    return {at for at, parents in wanted.items() if any(known[parent] is None for parent in parents)}
