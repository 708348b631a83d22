"""HttpJobs: the calls about one job, over HTTP. Many that wait for jobs hold few connections."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import quote

from typing_extensions import override

from runner.client import InEachLoop, JobCalls, RawResult
from runner.clock import monotonic_s
from runner.errors import InvalidOption, NoResult, RunnerError, StillUnavailable, StoreUnavailable, UnknownBatch, UnknownJob
from runner.http_client.documents import batch_of, job_of, json_of
from runner.http_client.events import frames
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import BatchProgress, JobStatus, State
from runner.ranges import checked

LONGEST_POLL_S = 25.0
"""How long one request waits for the end of a job: proxies give up after a minute."""
MOST_POLLS = 40
"""Of those in one event loop. The service lets a key have 50; who comes beyond shares a look at all such jobs each second."""
LOOK_S = 1.0


class _TooLarge(RunnerError):
    """The result does not go along with the status."""


class HttpJobs(JobCalls):
    """The jobs that the key of a client sees."""

    def __init__(self, sessions: InEachLoop[HttpSession]) -> None:
        self._sessions = sessions

    @override
    async def status(self, job_id: str, most_result: int | None = None) -> JobStatus:
        return await self._status(job_id, most_result)

    @override
    async def wait(self, job_id: str, timeout: float | None, most_result: int | None = None) -> JobStatus:
        if timeout is not None:
            checked("timeout of a wait", timeout, error=InvalidOption)
        ends_s = float("inf") if timeout is None else monotonic_s() + timeout
        while True:
            began_s = monotonic_s()
            left_s = max(ends_s - began_s, 0.0)
            try:
                status = await self._look(job_id, min(left_s, LONGEST_POLL_S), most_result)
            except StoreUnavailable as error:  # the job may go on meanwhile
                if monotonic_s() >= ends_s:
                    raise StillUnavailable(f"{error}; the time of the wait is over") from error
                continue
            if status.state.is_final or monotonic_s() >= ends_s:
                return status
            if monotonic_s() - began_s < LOOK_S:  # it stops, and answers at once
                await self._sessions.here.pause(min(LOOK_S, max(ends_s - monotonic_s(), 0.0)))

    @override
    async def changes(self, job_id: str) -> AsyncGenerator[JobStatus, None]:
        async with aclosing(frames(self._sessions.here, f"{_path(job_id)}/events", None)) as events:
            async for event in events:
                if event.kind == "state":
                    status = job_of(event.data)
                    yield status
                    if status.state.is_final:
                        return

    @override
    async def raw_result(self, job_id: str) -> RawResult:
        status = await self._status(job_id, 0)
        if status.state is not State.succeeded or status.result_bytes is None:
            why = "it ended without a result, and its status says why" if status.state.is_final else "it has no result before its end"
            raise NoResult(f"job {job_id!r} is {status.state}: {why}")
        return RawResult(job_id, status.result_bytes, lambda: self._sessions.here.parts(Call("GET", _path(job_id), {"result": "raw"})))

    @override
    async def cancel(self, job_id: str, most_result: int | None = None) -> JobStatus:
        return await self._changed(Call("DELETE", _path(job_id)), job_id, most_result)

    @override
    async def retry(self, job_id: str, most_result: int | None = None, *, ignore_parents: bool = False) -> JobStatus:
        # Sent twice it could run twice: the first run may be over.
        query: dict[str, str | int | float | list[str]] = {"ignore_parents": "true"} if ignore_parents else {}
        return await self._changed(Call("POST", f"{_path(job_id)}/retry", query, is_repeatable=False), job_id, most_result)

    @override
    async def batch_progress(self, batch_id: str) -> BatchProgress:
        return await self._batch("GET", batch_id)

    @override
    async def batches(self, most: int) -> list[BatchProgress]:
        found = json_of(await self._sessions.here.ask(Call("GET", "/v1/batches", {"most": most})))
        return [batch_of(document) for document in found["batches"]]

    @override
    async def cancel_batch(self, batch_id: str) -> BatchProgress:
        return await self._batch("DELETE", batch_id)

    @override
    async def seal_batch(self, batch_id: str) -> BatchProgress:
        return await self._batch("POST", batch_id, "/seal")

    async def _batch(self, method: str, batch_id: str, act: str = "") -> BatchProgress:
        call = Call(method, f"/v1/batches/{quote(batch_id, safe='')}{act}")
        return batch_of(json_of(await self._sessions.here.ask(call, instead={"not-found": UnknownBatch})))

    @override
    async def delete(self, job_id: str, reason: str = "") -> None:
        # Sent twice it would be unknown the second time.
        query: dict[str, str | int | float | list[str]] = {"reason": reason} if reason else {}
        await self._sessions.here.ask(Call("DELETE", f"{_path(job_id)}/record", query, is_repeatable=False))

    async def _changed(self, call: Call, job_id: str, most_result: int | None) -> JobStatus:
        document = json_of(await self._sessions.here.ask(call))
        if document.get("problem") is not None:  # the result is too large to go along
            return await self._status(job_id, most_result)
        return _within(job_of(document), most_result)

    async def _look(self, job_id: str, wait_s: float, most_result: int | None) -> JobStatus:
        """The job at its end, or as it is after so many seconds."""
        session = self._sessions.here
        if wait_s > 0 and session.polls < MOST_POLLS:
            session.polls += 1
            try:
                return await self._status(job_id, most_result, wait_s)
            except StoreUnavailable:  # others of this key wait too, or it is away
                pass
            finally:
                session.polls -= 1
        elif wait_s <= 0:
            return await self._status(job_id, most_result)
        await session.pause(min(LOOK_S, wait_s))
        state = await session.state(job_id)
        if state is None:
            raise UnknownJob(f"no job {job_id!r} at the service: never submitted, or its result has expired")
        return await self._status(job_id, most_result) if state.state.is_final else state

    async def _status(self, job_id: str, most_result: int | None, wait_s: float = 0.0) -> JobStatus:
        query: dict[str, str | int | float | list[str]] = {"wait": wait_s} if wait_s else {}
        session = self._sessions.here
        if most_result == 0:
            query["result"] = "none"
        try:
            call = Call("GET", _path(job_id), query, wait_s=wait_s)
            answer = await session.ask(call, instead={"result-too-large": _TooLarge}, is_patient=not wait_s)
        except _TooLarge:
            status = await self._status(job_id, 0)
            if most_result is not None and (status.result_bytes or 0) > most_result:
                return status
            whole = b"".join([part async for part in session.parts(Call("GET", _path(job_id), {"result": "raw"}))])
            return replace(status, result=json.loads(whole))
        return _within(job_of(json_of(answer)), most_result)


def _within(status: JobStatus, most_result: int | None) -> JobStatus:
    if most_result is None or (status.result_bytes or 0) <= most_result:
        return status
    return replace(status, result=None)


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
