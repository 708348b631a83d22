"""Foreseeing: what would become of a job that is submitted now, and the refusal of one that cannot make its deadline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.client.batcher import Batcher
from runner.client.flow_building import refusal_of, unknown_parent
from runner.clock import MICROSECONDS, seconds_or_none
from runner.jobs import JOBS, MOST_AT_ONCE, NO_WORKER, Acceptance, DeadlineOutOfReach, Foresight, JobStatus, OtherJob, Submission
from runner.store import Depth, Earliest, Forecast, JobStore, fitting_jobs

_DELAY, _PAUSED = "delay", "paused"
_REFUSED = (Acceptance.no_parent, Acceptance.no_batch, Acceptance.sealed)


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


async def foresight_of(store: JobStore, job: Submission, most_backlog: int | None) -> Foresight | Acceptance | OtherJob:
    """What becomes of a job that is submitted now; an answer that its submission raises is given back.

    Raises `BacklogFull`, `StoreFull`, `DeadlineOutOfReach`, `UnknownParent`, `BatchNotOpen`, `StoreUnavailable`.
    """
    forecast = await store.foresee(job, most_backlog)
    answer = forecast.answer
    if isinstance(answer, Acceptance):
        if answer is not Acceptance.existing:
            refusal = refusal_of(job, answer) if answer in _REFUSED else None
            if refusal is not None:
                raise refusal
            return answer
        return await _there(store, job, answer, job.id, forecast)
    if isinstance(answer, OtherJob):
        return answer if answer.state is Acceptance.duplicate else await _there(store, job, answer.state, answer.id, forecast)
    if len(job.after) > MOST_AT_ONCE:
        await _check_parents(store, job)
    if job.deadline_us and forecast.earliest.wait_us >= job.deadline_us:
        raise out_of_reach(job, forecast.earliest)
    return new_job(job, forecast)


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


async def _there(store: JobStore, job: Submission, state: Acceptance, job_id: str, forecast: Forecast) -> Foresight:
    """Of a job that is there already: as it is now."""
    run_s = seconds_or_none(forecast.runs_us)
    (status,) = await store.get([job_id], Depth.state)
    if status is None:
        return Foresight(job.task, state, job_id, run_s=run_s)
    return _of_status(status, state, job_id, run_s)


def _of_status(status: JobStatus, state: Acceptance, job_id: str, run_s: float | None) -> Foresight:
    place = (status.reason, status.bucket, status.position, status.eta_s, status.end_eta_s)
    return Foresight(status.task, state, job_id, *place, run_s=run_s, pause=status.pause, shared=status.shared)


async def _check_parents(store: JobStore, job: Submission) -> None:
    """Of one that comes after so many that they do not go along with it. Raises `UnknownParent`."""
    found = await store.get(job.after, Depth.state)
    unknown = next((parent for parent, status in zip(job.after, found, strict=True) if status is None), None)
    if unknown is not None:
        raise unknown_parent(job, unknown)
