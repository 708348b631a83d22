"""HttpClient: submits jobs by name, asks, waits, cancels and changes limits through a queue's HTTP service. It needs no Redis."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from ssl import SSLContext
from typing import Any, Self
from urllib.parse import quote, urlsplit

from runner.client import Asking, BlockingVerbs, InEachLoop, JobHandle, JobRequest, handle_of
from runner.clock import MICROSECONDS, wall_us
from runner.errors import ConfigurationError, Forbidden, SubmissionRefused, UnknownJob
from runner.http_client.batching import HttpBatching
from runner.http_client.control import HttpControl
from runner.http_client.documents import (
    event_of,
    jobs_found,
    json_of,
    limit_status_of,
    pool_of,
    server_of,
    task_of,
    worker_of,
)
from runner.http_client.events import frames
from runner.http_client.foretelling import HttpForetelling
from runner.http_client.history import HttpRemembering
from runner.http_client.job_calls import HttpJobs
from runner.http_client.managing import HttpManaging
from runner.http_client.overview import HttpOverlooking
from runner.http_client.pauses import HttpPauses
from runner.http_client.schedules import HttpScheduled
from runner.http_client.session import HttpSession, portions
from runner.http_client.submissions import (
    Prepared,
    all_prepared,
    answer_of,
    batch_body,
    batches,
    prepared,
    refusal_of,
)
from runner.http_client.transport import Call, opener
from runner.jobs import (
    JobEvent,
    JobOptions,
    JobStatus,
    TaskStatus,
    check_event_id,
    check_known_id,
    explain,
)
from runner.limits import LimitStatus
from runner.ranges import checked
from runner.settings import load_settings
from runner.store import PoolStatus, ServerFacts, WorkerStatus

_AT_ONCE = 8
"""Requests of one call that asks for many jobs with all they carry."""


class HttpClient(HttpScheduled, Asking, HttpBatching, HttpForetelling, HttpManaging, HttpRemembering, HttpOverlooking):
    """A client of the service at `url`, like `https://jobs.example.com` or with a prefix. The verbs, types and errors are those of `Client`.

    key: what the service knows the caller by. Without them RUNNER_API_URL and RUNNER_API_KEY count. timeout: seconds for which a request is
    repeated while the service is away or busy; then `ServiceUnavailable` is raised. tls: for certificates of your own. One client serves any
    number of event loops, threads and forked children, as `Client` does. Raises `ConfigurationError`, `MissingExtra` without httpx.
    """

    def __init__(self, url: str | None = None, *, key: str | None = None, timeout: float = 30.0, tls: SSLContext | None = None) -> None:
        settings = load_settings(api_url=url, api_key=key)
        secret = settings.api_key
        self._url = _checked_url(settings.api_url)
        headers = {} if secret is None else {"authorization": f"Bearer {_checked_key(secret.get_secret_value())}"}
        patience_s = checked("timeout of a request", timeout, of="the client")
        connect = partial(opener(), self._url, headers, tls)
        self._sessions = InEachLoop(partial(HttpSession, self._url, connect, patience_s))
        self._jobs = HttpJobs(self._sessions)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._url

    @property
    def _session(self) -> HttpSession:
        return self._sessions.here

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"HttpClient({self._url!r})"

    async def close(self) -> None:
        """Close the connections of the running event loop for good, once all that was submitted here has its answer.

        Whoever waits here gets `ClientClosed`, as does any later call here; other loops go on.
        """
        await self._session.close()

    @property
    def blocking(self) -> "BlockingHttpClient":
        """The same for code without an event loop: `client.blocking.limits()`."""
        return BlockingHttpClient(self)

    async def submit(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> JobHandle[Any]:
        """Submit one job by name. It has an id, yours or a random one, so that it is one job however often it is sent.

        Raises `UnknownTask`, `InvalidArguments`, `ArgumentsTooLarge`, `JobIdConflict`, `DuplicateJob` or another `SubmissionRefused`, `BacklogFull` or `StoreFull`:
        nothing is stored then. Raises `ServiceUnavailable`, `StoreUnavailable`.
        """
        job = prepared(task, args, options or JobOptions())
        document = json_of(await self._session.ask(Call("POST", "/v1/jobs", body=job.body)))
        return handle_of(self._jobs, job.id, answer_of(document, job))

    async def submit_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> list[JobHandle[Any]]:
        """Submit many jobs by name, a thousand in one request. Each has an id, as those of `submit`.

        Of a request all jobs are checked before the first is stored, and all are stored or none. Of more than a thousand jobs, or 7 MB,
        the requests before one that is refused are stored; a refusal names its index as `index`. Raises as `Client.submit_many`.
        """
        handles: list[JobHandle[Any]] = []
        for part in batches(all_prepared(requests)):
            handles += await self._submit_part(part, len(handles))
        if not return_conflicts:
            for at, handle in enumerate(handles):
                error = refusal_of(requests[at].task, handle.first_state, handle.id)
                if error is not None:
                    error.index = at
                    raise error
        return handles

    async def _submit_part(self, part: list[Prepared], start: int) -> list[JobHandle[Any]]:
        try:
            answer = await self._session.ask(
                Call("POST", "/v1/jobs/batch", body=batch_body(part)), instead=_IN_PARTS if len(part) > 1 else None
            )
        except _TooMuch:
            middle = len(part) // 2
            first = await self._submit_part(part[:middle], start)
            return first + await self._submit_part(part[middle:], start + middle)
        except SubmissionRefused as error:
            error.index += start
            raise
        items = json_of(answer)["jobs"]
        return [handle_of(self._jobs, job.id, answer_of(item, job)) for job, item in zip(part, items, strict=True)]

    async def statuses(self, job_ids: Sequence[str], *, payloads: bool = True) -> list[JobStatus | None]:
        """Many jobs; None for an unknown one. Without `payloads` a hundred in one request, without arguments, results and errors."""
        for job_id in job_ids:
            check_known_id(job_id)
        if not payloads:
            answers = [await self._session.ask(Call("GET", "/v1/jobs", {"id": part})) for part in portions(job_ids)]
            return [status for answer in answers for status in jobs_found(answer)]
        turns = asyncio.Semaphore(_AT_ONCE)

        async def status(job_id: str) -> JobStatus | None:
            async with turns:
                try:
                    return await self.status(job_id)
                except UnknownJob:
                    return None

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(status(job_id)) for job_id in job_ids]
        return [task.result() for task in asked]

    async def explain(self, status: JobStatus, *, options: Sequence[str] | None = None) -> list[str]:
        """Why a job is where it is, in sentences with numbers, and the next command, with `options` or those that lead to this service.

        Of a limit that the key may not read, or of jobs that it comes after, the service tells what it does itself, as the job is then.
        """
        try:
            limits = [await self.control.show(status.limit)] if status.limit else []
        except Forbidden:
            limits = None
        if limits is None or status.reason == "jobs":
            answer = await self._session.ask(Call("GET", f"/v1/jobs/{quote(status.id, safe='')}", {"explain": 1}))
            sentences: list[str] = json_of(answer)["explanation"]
            return sentences
        return explain(status, limits, wall_us() / MICROSECONDS, ["--url", self._url] if options is None else options)

    def events(self, after: str | None = None) -> AsyncGenerator[JobEvent, None]:
        """The end of every job from now on, in order, half a second late at most; `after` an event's id, or "0" for all that are kept.

        A connection that is lost is opened again, and goes on after the last event. It never ends; leave it by `break`. Raises
        `InvalidOption`, and `StoreUnavailable` if the service, or its Redis, is away for `timeout` seconds: go on with the last id.
        """
        return self._events(after if after is None else check_event_id(after))

    async def _events(self, after: str | None) -> AsyncGenerator[JobEvent, None]:
        async with aclosing(frames(self._session, "/v1/events", after)) as found:
            async for frame in found:
                if frame.kind == "end":
                    yield event_of(frame.id or "", frame.data)

    async def latest_event(self) -> str:
        """The place of what comes from now on. Raises `StoreUnavailable`."""
        async with aclosing(frames(self._session, "/v1/events", None)) as found:
            return (await anext(found)).id or ""

    async def tasks(self) -> list[TaskStatus]:
        """The tasks that are published, and whether live workers serve them; of their specs what the service tells."""
        return [task_of(document) for document in json_of(await self._session.ask(Call("GET", "/v1/tasks")))["tasks"]]

    async def remove_task(self, name: str) -> TaskStatus:
        """Remove a task from the catalog that no live worker serves, see `Client.remove_task`. Raises `UnknownTask`, `TaskServed`."""
        # Sent twice it would be unknown the second time.
        return task_of(json_of(await self._session.ask(Call("DELETE", f"/v1/tasks/{quote(name, safe='')}", is_repeatable=False))))

    async def limits(self) -> list[LimitStatus]:
        """Every limit, with its live buckets."""
        return [limit_status_of(document) for document in json_of(await self._session.ask(Call("GET", "/v1/limits")))["limits"]]

    @property
    def control(self) -> HttpControl:
        """Change, pause and freeze limits while everything runs."""
        return HttpControl(self._sessions)

    @property
    def pauses(self) -> HttpPauses:
        """Pause the queue, a task, a pool or one value of a key, and let it go on."""
        return HttpPauses(self._sessions)

    async def metrics(self) -> tuple[bytes, str]:
        """The figures of the queue as Prometheus reads them, see `Client.metrics`."""
        answer = await self._session.ask(Call("GET", "/metrics"))
        return answer.body, answer.headers["content-type"]

    async def workers(self) -> list[WorkerStatus]:
        """The workers that hold a lease."""
        return [worker_of(document) for document in json_of(await self._session.ask(Call("GET", "/v1/workers")))["workers"]]

    async def server(self) -> ServerFacts:
        """The server of the queue: which it is, its memory and what it does once that is full."""
        return server_of(json_of(await self._session.ask(Call("GET", "/v1/server"))))

    async def pools(self) -> list[PoolStatus]:
        """The pools of the queue, the default one first: what is in them, and how many workers read them."""
        return [pool_of(document) for document in json_of(await self._session.ask(Call("GET", "/v1/pools")))["pools"]]

    async def check(self) -> None:
        """Show that the queue can be used, now. Raises `ServiceUnavailable`, `StoreUnavailable`."""
        await self._session.ask(Call("GET", "/readyz"), is_patient=False)


class BlockingHttpClient(BlockingVerbs):
    """An `HttpClient` for code without an event loop. All of a process use one thread, which closes their connections when the process ends."""

    __slots__ = ()


class _TooMuch(SubmissionRefused):
    """The batch is larger than the service takes at once."""


_IN_PARTS = {"too-many-values": _TooMuch, "body-too-large": _TooMuch}


def _checked_url(url: str | None) -> str:
    if not url:
        raise ConfigurationError(
            "a client needs the URL of a service: give it, like HttpClient('https://jobs.example.com'), or set RUNNER_API_URL"
        )
    try:
        parts = urlsplit(url)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1
    except ValueError:
        bad, parts = True, urlsplit("")
    if "@" in url:
        raise ConfigurationError("the URL of a service has a user or a password in it: give the key by `key`, or set RUNNER_API_KEY")
    if bad or parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"URL {url!r:.100} is not understood: give that of a service, like https://jobs.example.com or with a prefix"
        )
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    """The key, which no message may show."""
    if not key or len(key) > 500 or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError("the key of the client cannot be sent in a header: give it as `keys create` has printed it")
    return key
