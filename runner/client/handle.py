"""JobHandle: one submitted job, for the code that asks for its status or waits for its result."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from runner.client.blocking import Blocking, door, each, through
from runner.client.job_calls import JobCalls
from runner.client.outcome import result_in
from runner.client.raw_result import BlockingRawResult, RawResult
from runner.jobs import Acceptance, JobStatus, OtherJob, Progress, Result

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class JobHandle(Generic[R_co]):
    """One submitted job. `first_state` is what the submission answered: its first state, or that it existed, or was replaced.

    Its result is of the type that its task returns, if the task was submitted with its code, else JSON.
    """

    __slots__ = ("_calls", "_kind", "first_state", "id")

    def __init__(self, calls: JobCalls, job_id: str, first_state: Acceptance = Acceptance.existing, kind: Result | None = None) -> None:
        self._calls = calls
        self._kind = kind
        self.id = job_id
        self.first_state = first_state

    async def status(self, *, most_result: int | None = None) -> JobStatus:
        """The job as it is now. Raises `UnknownJob` once its result has expired.

        most_result: a result of more bytes of JSON is left out; `result_bytes` of the status tells how many there are.
        """
        return await self._calls.status(self.id, most_result)

    async def wait(self, timeout: float | None = None, *, most_result: int | None = None) -> JobStatus:
        """The job once it is final, or as it is after `timeout` seconds; see `status`. Redis is not polled meanwhile."""
        return await self._calls.wait(self.id, timeout, most_result)

    async def changes(self) -> AsyncGenerator[JobStatus, None]:
        """The job as it is now, and again whenever it has changed, until it has ended; without its arguments, result and error.

        All that is followed in this way is looked at twice a second, together: changes between two looks are told as one. Raises
        `UnknownJob`, `StoreUnavailable`: begin anew.
        """
        async with aclosing(self._calls.changes(self.id)) as changes:
            async for status in changes:
                yield status

    async def progress(self) -> AsyncGenerator[Progress, None]:
        """What its handler says of its progress, now and whenever it says more, until the job has ended; see `changes`."""
        told = None
        async with aclosing(self.changes()) as changes:
            async for status in changes:
                said = status.progress
                if said is not None and (told is None or replace(said, at=told.at) != told):
                    told = said
                    yield said

    async def result(self, timeout: float | None = None) -> R_co:
        """The job's result. Raises `JobFailed`, `JobCancelled` or `JobExpired` if there is none, TimeoutError after `timeout` seconds.

        Raises `InvalidResult` for a result of another type, as a worker with other code may have returned; `status` has it as JSON.
        """
        status = await self.wait(timeout)
        if status.state.is_final:
            return cast("R_co", result_in(status, self.id, self._kind))
        raise TimeoutError(f"job {self.id} is still {status.state} after {timeout} s")

    async def raw_result(self) -> RawResult:
        """The job's result as JSON, part by part: for one that is too large to be held. Raises `NoResult`, `UnknownJob`, `StoreUnavailable`."""
        return await self._calls.raw_result(self.id)

    async def cancel(self, *, most_result: int | None = None) -> JobStatus:
        """Stop the job; a running one ends when its handler does. Cancelling twice is the same answer. most_result: see `status`.

        Raises `AlreadyFinished` if it ended otherwise, `UnknownJob`.
        """
        return await self._calls.cancel(self.id, most_result)

    async def retry(self, *, most_result: int | None = None, ignore_parents: bool = False) -> JobStatus:
        """Run the job again, if it failed, expired or was cancelled. most_result: see `status`. Raises `UnknownJob`, `CannotRetry`, `DuplicateJob`.

        ignore_parents: even if a job that it comes after has not succeeded, or has not ended.
        """
        return await self._calls.retry(self.id, most_result, ignore_parents=ignore_parents)

    async def delete(self, *, reason: str = "") -> None:
        """Forget the job, which has ended; `reason` goes into the audit. Raises `UnknownJob`, `NotEnded`."""
        await self._calls.delete(self.id, reason)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As the answer of a route: `async def pay(order: str) -> JobHandle[str]` answers `{"id": ..., "state": ...}`."""
        written = core_schema.plain_serializer_function_ser_schema(_document, return_schema=core_schema.dict_schema())
        return core_schema.is_instance_schema(JobHandle, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Of that answer."""
        properties = {"id": {"type": "string"}, "state": {"type": "string", "enum": [answer.value for answer in _TOLD]}}
        return {"title": "Job", "type": "object", "properties": properties, "required": ["id", "state"]}

    @property
    def blocking(self) -> "BlockingHandle[R_co]":
        """The same for code without an event loop: `handle.blocking.result(timeout=60)`."""
        return BlockingHandle(self)

    def __repr__(self) -> str:
        return f"JobHandle({self.id!r})"


_TOLD = (Acceptance.queued, Acceptance.waiting, Acceptance.scheduled, Acceptance.failed, Acceptance.existing, Acceptance.replaced)
"""What the submission of a job that a handle is for can have answered."""


def handle_of(
    calls: JobCalls, job_id: str, answer: Acceptance | OtherJob, kind: Result | None = None, shown: Callable[[str], str] = str
) -> JobHandle[Any]:
    """The handle of a submission: on its job, or on the one that is there in its place. shown: an id as its caller knows it."""
    if isinstance(answer, OtherJob):
        return JobHandle(calls, shown(answer.id), answer.state, kind)
    return JobHandle(calls, shown(job_id), answer, kind)


def calls_of(job: JobHandle[Any]) -> JobCalls:
    """Where its handle asks, for the rest of this room."""
    return job._calls  # noqa: SLF001 - private to users


def kind_of(job: JobHandle[Any]) -> Result | None:
    """Of what type its result is, for the rest of this room."""
    return job._kind  # noqa: SLF001 - private to users


def async_of(job: "BlockingHandle[R]") -> JobHandle[R]:
    """What a handle for plain code stands for, for the rest of this room."""
    return job._of  # noqa: SLF001 - private to users


def _document(job: JobHandle[Any]) -> dict[str, str]:
    return {"id": job.id, "state": job.first_state.value}


class BlockingHandle(Blocking, Generic[R_co]):
    """A `JobHandle` for code without an event loop."""

    __slots__ = ()
    _of: JobHandle[R_co]

    status = through(JobHandle.status)
    wait = through(JobHandle.wait)
    cancel = through(JobHandle.cancel)
    retry = through(JobHandle.retry)
    delete = through(JobHandle.delete)

    @property
    def id(self) -> str:
        """The job's id."""
        return self._of.id

    @property
    def first_state(self) -> Acceptance:
        """What the submission answered."""
        return self._of.first_state

    def result(self, timeout: float | None = None) -> R_co:
        """The job's result, see `JobHandle.result`."""
        return door.call(lambda: self._of.result(timeout))

    def changes(self) -> Iterator[JobStatus]:
        """The job as it is now, and again whenever it has changed, until it has ended, see `JobHandle.changes`."""
        return each(self._of.changes)

    def progress(self) -> Iterator[Progress]:
        """What its handler says of its progress, until the job has ended, see `JobHandle.progress`."""
        return each(self._of.progress)

    def raw_result(self) -> BlockingRawResult:
        """The job's result as JSON, part by part, see `JobHandle.raw_result`."""
        return BlockingRawResult(door.call(self._of.raw_result))

    def __repr__(self) -> str:
        return f"BlockingHandle({self.id!r})"
