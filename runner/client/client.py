"""Client: submits jobs by name, asks, waits and cancels, with no code of the tasks. The HTTP API and the command line use it."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar, overload

from runner.client.asking import Asking, BlockingAsking
from runner.client.batching import Batching, BlockingBatching
from runner.client.blocking import door, each, through
from runner.client.bulk import BlockingBulks
from runner.client.catalog import PublishedTask
from runner.client.control import BlockingControl, Control
from runner.client.foretelling import Foretelling
from runner.client.handle import BlockingHandle, JobHandle, handle_of
from runner.client.history import Remembering
from runner.client.job_request import JobRequest
from runner.client.keys import ApiKeys, BlockingApiKeys
from runner.client.listening import Listening
from runner.client.listing import BlockingListing
from runner.client.managing import Managing
from runner.client.overview import Overlooking
from runner.client.pauses import BlockingPauses, Pauses
from runner.client.schedules import BlockingScheduled, Scheduled
from runner.client.session import Session
from runner.client.sessions import Sessions
from runner.client.stored_jobs import StoredJobs
from runner.clock import MICROSECONDS, wall_us
from runner.errors import InvalidOption, StoreUnavailable, SubmissionRefused, TaskServed, UnknownTask
from runner.foreign import shown
from runner.jobs import JOBS, Acceptance, JobEvent, JobOptions, JobStatus, OtherJob, Submission, TaskStatus, explain
from runner.limits import LimitStatus
from runner.settings import Settings, chosen_settings
from runner.store import Depth, ForgetAnswer, Overview, refuse_unfit_server

R = TypeVar("R")

log = logging.getLogger("runner")


DEFAULT_QUEUE = "default"


class Client(Scheduled, Asking, Batching, Foretelling, Listening, Managing, Remembering, Overlooking):
    """A producer's connections to one queue, for any number of event loops: one after the other, at once in threads, after a fork.

    Each loop has connections of its own, which end with it, or before by `close` or `async with`.
    Without `redis_url` and RUNNER_REDIS_URL it uses the embedded server of the current folder.
    """

    def __init__(self, queue: str = DEFAULT_QUEUE, *, redis_url: str | None = None, settings: Settings | None = None) -> None:
        self._jobs = StoredJobs(Sessions(queue, chosen_settings(settings, redis_url)))

    _jobs: StoredJobs
    _most_backlog: int | None = None
    """Unended jobs above which submissions of this client are refused, beside the cap of the settings."""

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._sessions.queue

    @property
    def settings(self) -> Settings:
        """The settings this client works with."""
        return self._sessions.settings

    @property
    def _sessions(self) -> Sessions:
        return self._jobs.sessions

    @property
    def _session(self) -> Session:
        return self._sessions.here

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections of the running event loop for good, once all that was submitted here has its answer.

        Whoever waits here gets `ClientClosed`, as does any later call here; other loops go on.
        """
        await self._session.close()

    @property
    def blocking(self) -> "BlockingClient":
        """The same for code without an event loop: `client.blocking.limits()`."""
        return BlockingClient(self)

    async def submit(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> JobHandle[Any]:
        """Submit one job by name. Jobs that are submitted at the same time share a call; each has its own answer.

        Raises `UnknownTask`, `InvalidArguments`, `ArgumentsTooLarge`, `DeadlineOutOfReach`, `JobIdConflict`, `DuplicateJob` or another `SubmissionRefused`,
        `BacklogFull` or `StoreFull`: nothing is stored then. Raises `StoreUnavailable`.
        """
        published = await self._session.catalog.get(task)
        job = self._prepare(published, args, options or JobOptions())
        return self._handle(job.id, await self._session.submit(job, published.on_conflict, self._most_backlog))

    async def submit_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> list[JobHandle[Any]]:
        """Submit many jobs by name, hundreds in one step. All are checked before the first is stored; a refusal names its index as `index`.

        Raises `BacklogFull` if they do not all fit under `max_backlog`: nothing new is stored. Raises `JobIdConflict` for the first
        id that another job has, `DuplicateJob` for the first that is refused; all other jobs are stored then. With `return_conflicts` it does
        not: the handle's `first_state` is `Acceptance.conflict`, or `Acceptance.duplicate` of one on the job that is there.
        """
        jobs = await self._prepared(requests)
        states = await self._session.submit_many(jobs, return_conflicts=return_conflicts, most_backlog=self._most_backlog)
        return [self._handle(job.id, state) for job, state in zip(jobs, states, strict=True)]

    def _prepare(self, published: PublishedTask, args: Mapping[str, Any], options: JobOptions) -> Submission:
        return published.prepare(args, options)

    def _handle(self, stored_id: str, answer: Acceptance | OtherJob) -> JobHandle[Any]:
        return handle_of(self._jobs, stored_id, answer)

    async def _prepared(self, requests: Iterable[JobRequest]) -> list[Submission]:
        """All requests for one task are checked against the same catalog."""
        jobs: list[Submission] = []
        tasks: dict[str, PublishedTask] = {}
        try:
            for request in requests:
                given: object = request
                if not (isinstance(given, tuple) and len(given) == len(JobRequest._fields)):
                    raise InvalidOption(f"a request is {shown(given, 80)}: give JobRequest(task, args), and options if it has any")
                name, args, options = request
                task = tasks.get(name) or tasks.setdefault(name, await self._session.catalog.get(name))
                jobs.append(self._prepare(task, args, options))
        except SubmissionRefused as error:
            error.index = len(jobs)
            raise
        return jobs

    async def statuses(self, job_ids: Sequence[str], *, payloads: bool = True) -> list[JobStatus | None]:
        """Many jobs, in few calls; None for an unknown one. Without `payloads` their arguments, results and errors stay in Redis."""
        return await self._session.store.get(job_ids, Depth.full if payloads else Depth.state)

    async def explain(self, status: JobStatus, *, options: Sequence[str] | None = None) -> list[str]:
        """Why a job is where it is, in sentences with numbers, and the next command. `options`: how the command line finds this queue."""
        limits = await self._session.store.limits(status.limit, bucket=status.bucket or "") if status.limit else []
        if options is None:
            options = [] if self.queue == DEFAULT_QUEUE else ["--queue", self.queue]
        after = await self._jobs.waits_for(status.id) if status.reason == JOBS else ""
        return explain(status, limits, wall_us() / MICROSECONDS, options, after)

    async def refuse_unfit_server(self) -> None:
        """Raises `ConfigurationError` if the server, or the queue's data, cannot be used. If it cannot be reached, a warning is logged."""
        try:
            await refuse_unfit_server(self._session.store)
        except StoreUnavailable as error:
            log.warning("Redis was not checked: %s", error)

    async def tasks(self) -> list[TaskStatus]:
        """The tasks that are published, and whether live workers serve them."""
        return await self._session.store.tasks()

    async def remove_task(self, name: str) -> TaskStatus:
        """Remove a task from the catalog that no live worker serves, so that nobody submits it any more. Returns how it stood.

        Its jobs stay: they wait for a worker, and can be cancelled. Raises `UnknownTask`, `TaskServed`.
        """
        status = next((task for task in await self.tasks() if task.name == name), None)
        answer = await self._session.store.forget(name)
        if answer is ForgetAnswer.served:
            raise TaskServed(f"task {name!r} of queue {self.queue!r} is served by a live worker: stop its workers first")
        if answer is ForgetAnswer.unknown or status is None:
            raise UnknownTask(f"unknown task {name!r} on queue {self.queue!r}: the catalog does not have it")
        return status

    async def limits(self) -> list[LimitStatus]:
        """Every limit, with its live buckets."""
        return await self._session.store.limits()

    @property
    def control(self) -> Control:
        """Change, pause and freeze limits while everything runs."""
        return Control(lambda: self._session.store, lambda: self._session.homes)

    @property
    def pauses(self) -> Pauses:
        """Pause the queue, a task, a pool or one value of a key, and let it go on."""
        return Pauses(lambda: self._session.store)

    @property
    def keys(self) -> ApiKeys:
        """Make, list, rotate and revoke the keys of the queue's HTTP service."""
        return ApiKeys(lambda: self._session.store, lambda: self._session.keyring, self.settings)

    async def check(self) -> None:
        """Show that the queue can be used: runs a script. Raises `StoreUnavailable`."""
        await self._session.store.check()


class BlockingVerbs(BlockingScheduled, BlockingAsking, BlockingBatching, BlockingListing):
    """The verbs of every client, for code without an event loop. Each is found by its name, so that a client of another kind has its own."""

    __slots__ = ()
    _of: Client

    close = through(Client.close)
    statuses = through(Client.statuses)
    explain = through(Client.explain)
    foresee = through(Client.foresee)
    foresee_many = through(Client.foresee_many)
    latest_event = through(Client.latest_event)
    tasks = through(Client.tasks)
    remove_task = through(Client.remove_task)
    limits = through(Client.limits)
    audit = through(Client.audit)
    overview = through(Client.overview)
    waiting_line = through(Client.waiting_line)
    waiting_buckets = through(Client.waiting_buckets)
    history = through(Client.history)
    spent = through(Client.spent)
    budget = through(Client.budget)
    history_series = through(Client.history_series)
    metrics = through(Client.metrics)
    workers = through(Client.workers)
    server = through(Client.server)
    pools = through(Client.pools)
    check = through(Client.check)

    def submit(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> BlockingHandle[Any]:
        """Submit one job by name, see `Client.submit`."""
        return door.call(lambda: self._of.submit(task, args, options)).blocking

    def submit_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> list[BlockingHandle[Any]]:
        """Submit many jobs by name, see `Client.submit_many`."""
        return [job.blocking for job in door.call(lambda: self._of.submit_many(requests, return_conflicts=return_conflicts))]

    @overload
    def job(self, job_id: str) -> BlockingHandle[Any]: ...
    @overload
    def job(self, job_id: str, *, result: type[R]) -> BlockingHandle[R]: ...
    @overload
    def job(self, job_id: str, *, result: Any) -> BlockingHandle[Any]: ...
    def job(self, job_id: str, *, result: Any = Any) -> BlockingHandle[Any]:
        """A handle on a job submitted elsewhere, see `Client.job`."""
        return self._of.job(job_id, result=result).blocking

    def events(self, after: str | None = None) -> Iterator[JobEvent]:
        """The end of every job from now on, see `Client.events`: `for event in client.blocking.events(): ...`."""
        return each(lambda: self._of.events(after))

    def overviews(self) -> Iterator[Overview]:
        """How the queue stands, again each second, see `Client.overviews`."""
        return each(self._of.overviews)

    @property
    def control(self) -> BlockingControl:
        """Change, pause and freeze limits while everything runs."""
        return BlockingControl(self._of.control)

    @property
    def pauses(self) -> BlockingPauses:
        """Pause the queue, a task, a pool or one value of a key, and let it go on."""
        return BlockingPauses(self._of.pauses)

    @property
    def bulk(self) -> BlockingBulks:
        """Cancel, retry, delete or purge all jobs that a filter asks for."""
        return BlockingBulks(self._of.bulk)


class BlockingClient(BlockingVerbs):
    """A `Client` for code without an event loop. All of a process use one thread, which closes their connections when the process ends."""

    __slots__ = ()
    _of: Client

    examine = through(Client.examine)
    refuse_unfit_server = through(Client.refuse_unfit_server)
    memory = through(Client.memory)

    @property
    def keys(self) -> BlockingApiKeys:
        """Make, list, rotate and revoke the keys of the queue's HTTP service."""
        return BlockingApiKeys(self._of.keys)


def jobs_of(client: Client) -> StoredJobs:
    """The calls about the jobs of a client, for the rest of this room."""
    return client._jobs  # noqa: SLF001 - private to users, who have the client's methods


def session_of(client: Client) -> Session:
    """The session of a client in the running event loop, for the other rooms of this library."""
    return client._session  # noqa: SLF001 - private to users, who have the client's methods
