"""Session: the connections of one event loop to one queue, and what all its users there share. `Client` is its public face."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from runner.client.batcher import Batcher
from runner.client.catalog import Catalog
from runner.client.counting import Counting
from runner.client.ends import Ends
from runner.client.events import Events
from runner.client.figures import figures_of
from runner.client.finish_listener import FinishListener
from runner.client.flow_building import end_submission, end_submissions, refusal_of
from runner.client.foreseeing import Deadlines, foresights_of, refused_foresight
from runner.client.homes import Homes
from runner.client.keyring import Keyring
from runner.client.limiter import Limiter
from runner.client.lookups import Lookups
from runner.client.overlook import Overlook
from runner.client.raw_result import RawResult
from runner.client.results_in_hand import ResultsInHand
from runner.clock import MICROSECONDS
from runner.errors import ArgumentsTooLarge, DuplicateJob, InvalidOption, JobIdConflict, NoResult, SubmissionRefused, UnknownJob
from runner.jobs import Acceptance, BatchForesight, Foresight, JobStatus, OtherJob, State, Submission
from runner.ranges import checked
from runner.settings import Settings
from runner.store import MOST_SMALL, JobStore, fitting_jobs
from runner.telemetry import Figures, SharedReading, recorder_here

_NOT_YET = "it has no result before its end"
_HAS_NONE = "it ended without a result, and its status says why"


class Session:
    """Open it inside the event loop that uses it, see `Sessions`. Raises `ConfigurationError` for a URL that cannot be used."""

    def __init__(self, url: str, queue: str, settings: Settings) -> None:
        self.queue = queue
        self.is_closed = False
        self.settings = settings
        self._most_args = settings.max_args_bytes
        self.store = JobStore(url, queue, settings)
        self.catalog = Catalog(self.store)
        self._lookups = Lookups(self.store)
        self._in_hand = ResultsInHand(self.store)
        self._listener = FinishListener(self.store, self._lookups)
        self.events = Events(self.store, self._lookups)
        self.overlook = Overlook(self.store)
        self.limiter = Limiter(self.store, self._listener)
        self.keyring = Keyring(self.store, settings)
        self.homes = Homes(url, settings)
        self.counting = Counting(self.store, self.homes)
        self.figures: SharedReading[Figures] = SharedReading(partial(figures_of, self.store, self.overlook, self.homes))
        self._deadlines = Deadlines(self.store)
        self._submissions: Batcher[Submission, Acceptance | OtherJob] = Batcher(self.store.submit_each, fitting=fitting_jobs)

    async def close(self) -> None:
        """Close every connection for good, once all that was submitted has its answer. What waits ends with `ClientClosed`."""
        self.is_closed = True
        await self._deadlines.close()
        await self._submissions.close()
        await self._listener.close()
        await self.events.close()
        await self.overlook.close()
        await self._lookups.close()
        await self.limiter.close()
        await self.counting.close()
        await self.keyring.close()
        await self.figures.close()
        await self.catalog.close()
        await self.homes.close()
        await self.store.close()

    def abandon(self) -> None:
        """Close the sockets, if there are any: the event loop was closed before the session, and runs nothing any more."""
        self.homes.abandon()
        self.store.abandon()

    async def submit(self, job: Submission, on_conflict: str = "", most_backlog: int | None = None) -> Acceptance | OtherJob:
        """Store one job. Jobs that are submitted at the same time share a call; each has its own answer.

        Raises `ArgumentsTooLarge`, `DeadlineOutOfReach`, `JobIdConflict` (whose text ends with `on_conflict`), `DuplicateJob`, `BacklogFull`,
        `StoreFull`, `StoreUnavailable`.
        """
        if (recorder := recorder_here()) is not None:
            with recorder.sending(self.queue, [job]) as (traced,):
                return await self._submit(traced, on_conflict, most_backlog)
        return await self._submit(job, on_conflict, most_backlog)

    async def _submit(self, job: Submission, on_conflict: str, most_backlog: int | None) -> Acceptance | OtherJob:
        self._check_size(job)
        if job.deadline_us:
            await self._deadlines.check(job)
        state: Acceptance | OtherJob
        if len(job.args) > MOST_SMALL or most_backlog is not None:  # it takes long to send, or has a cap: no other waits for its call
            state = (await self.store.submit([job], most_backlog))[0]
        else:
            state = await self._submissions.ask(job)
        if state is Acceptance.conflict:
            raise _conflict(job.id, on_conflict)
        if isinstance(state, OtherJob) and state.state is Acceptance.duplicate:
            raise duplicate_of(job.task, state.id)
        if job.features:
            await end_submission(self.store, job, state)
        return state

    async def submit_many(
        self, jobs: Sequence[Submission], *, return_conflicts: bool = False, most_backlog: int | None = None
    ) -> list[Acceptance | OtherJob]:
        """Store many jobs, hundreds in one step.

        Raises `ArgumentsTooLarge` or `DeadlineOutOfReach` for the first job of which that is so; nothing is stored then. Raises `JobIdConflict` naming the first id
        that another job has, or `DuplicateJob` for the first that is refused, unless `return_conflicts`; all other jobs are stored then, as they
        are with the first `UnknownParent`.
        """
        if jobs and (recorder := recorder_here()) is not None:
            with recorder.sending(self.queue, jobs) as traced:
                return await self._submit_many(traced, return_conflicts=return_conflicts, most_backlog=most_backlog)
        return await self._submit_many(jobs, return_conflicts=return_conflicts, most_backlog=most_backlog)

    async def _submit_many(
        self, jobs: Sequence[Submission], *, return_conflicts: bool, most_backlog: int | None
    ) -> list[Acceptance | OtherJob]:
        for index, job in enumerate(jobs):
            self._check_size(job, index)
        if any(job.deadline_us for job in jobs):
            await self._deadlines.check_all(jobs)
        states = await self.store.submit(jobs, most_backlog)
        if not return_conflicts and (Acceptance.conflict in states or any(job.features for job in jobs)):
            for index, (job, state) in enumerate(zip(jobs, states, strict=True)):
                error = _refusal_of(job, state)
                if error is not None:
                    error.index = index
                    raise error
        if any(job.features for job in jobs):
            return await end_submissions(self.store, jobs, states, return_refused=return_conflicts)
        return states

    def _check_size(self, job: Submission, index: int = 0) -> None:
        most = self._most_args
        if len(job.args) > most:
            error = ArgumentsTooLarge(
                f"the arguments of job {_shown(job.id)} have {len(job.args)} bytes of JSON, and may have {most} (max_args_bytes):"
                " store them elsewhere and pass where"
            )
            error.index = index
            raise error

    async def foresee(self, job: Submission, on_conflict: str = "", most_backlog: int | None = None) -> Foresight:
        """What would become of a job that is submitted now. Raises what its submission would; nothing is stored."""
        self._check_size(job)
        (found,) = await foresights_of(self.store, [job], most_backlog)
        if isinstance(found, Foresight):
            if found.created and job.deadline_us and found.earliest_s * MICROSECONDS >= job.deadline_us:
                await self._deadlines.check_all([job])
            return found
        raise _refused(job, found, on_conflict)

    async def foresee_many(
        self, jobs: Sequence[Submission], *, return_conflicts: bool = False, most_backlog: int | None = None
    ) -> BatchForesight:
        """What would become of jobs that are submitted now, together. Raises what `submit_many` would; nothing is stored."""
        for index, job in enumerate(jobs):
            self._check_size(job, index)
        if any(job.deadline_us for job in jobs):
            await self._deadlines.check_all(jobs)
        told: list[Foresight] = []
        for index, (job, found) in enumerate(zip(jobs, await foresights_of(self.store, jobs, most_backlog), strict=True)):
            if not isinstance(found, Foresight) and not return_conflicts:
                error = _refused(job, found)
                error.index = index
                raise error
            told.append(found if isinstance(found, Foresight) else refused_foresight(job, found))
        return BatchForesight(tuple(told))

    async def status(self, job_id: str, most_result: int | None = None) -> JobStatus:
        """The job as it is now; statuses that are asked for at the same time share a call. Raises `UnknownJob`."""
        return self._known(job_id, await self._lookups.status(job_id, most_result))

    async def wait(self, job_id: str, timeout: float | None, most_result: int | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds. Raises `UnknownJob`, `InvalidOption`, `StillUnavailable`."""
        if timeout is not None:
            checked("timeout of a wait", timeout, error=InvalidOption)
        return self._known(job_id, await self._listener.wait(job_id, timeout, most_result))

    def ends(self, timeout: float | None = None) -> Ends:
        """Waits for many jobs at once, `timeout` seconds from now on. Raises `InvalidOption`, `ClientClosed`."""
        return Ends(self.store, self._listener, timeout)

    async def changes(self, job_id: str) -> AsyncGenerator[JobStatus, None]:
        """The job as it is now, and whenever it has changed, until it has ended. Raises `UnknownJob`, `StoreUnavailable`."""
        async with aclosing(self.events.changes(job_id)) as changes:
            async for status in changes:
                yield self._known(job_id, status)

    async def raw_result(self, job_id: str) -> RawResult:
        """The JSON of the job's result, to be read part by part. Raises `UnknownJob`, `NoResult`, `StoreUnavailable`."""
        raw = await self._in_hand.read(job_id)
        if raw is None:
            raise self.unknown(job_id)
        if isinstance(raw, State):
            raise NoResult(f"job {_shown(job_id)!r} is {raw}: {_HAS_NONE if raw.is_final else _NOT_YET}")
        return raw

    def _known(self, job_id: str, status: JobStatus | None) -> JobStatus:
        if status is None:
            raise self.unknown(job_id)
        return status

    def unknown(self, job_id: str) -> UnknownJob:
        """That there is no such job."""
        return UnknownJob(f"no job {_shown(job_id)!r} on queue {self.queue!r}: never submitted, or its result has expired")


def _refused(job: Submission, answer: Acceptance | OtherJob, on_conflict: str = "") -> SubmissionRefused:
    """Why this job would not be stored."""
    error = refusal_of(job, answer) if isinstance(answer, Acceptance) else duplicate_of(job.task, answer.id)
    return error or _conflict(job.id, on_conflict)


def _refusal_of(job: Submission, answer: Acceptance | OtherJob) -> SubmissionRefused | None:
    """Why this job of many was not stored; None if it was, or if the one that is there will do."""
    if answer is Acceptance.conflict:
        return _conflict(job.id)
    if isinstance(answer, OtherJob) and answer.state is Acceptance.duplicate:
        return duplicate_of(job.task, answer.id)
    return None


def duplicate_of(task: str, stored_id: str) -> DuplicateJob:
    """That another job of this task is there, which is unique."""
    job_id = _shown(stored_id)
    error = DuplicateJob(f"task {task!r} is unique, and job {job_id!r} is there: it has not ended, or its time is not over")
    error.job_id = job_id
    return error


def _conflict(job_id: str, more: str = "") -> JobIdConflict:
    return JobIdConflict(f"job {_shown(job_id)!r} exists with another task or other arguments; choose another id{more}")


def _shown(stored_id: str) -> str:
    """A job's id as its tenant knows it."""
    return stored_id.rpartition("/")[2]
