"""HttpSession: the connections of one event loop to one service, and how a request is sent until it is answered."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from runner.client import Batcher
from runner.clock import monotonic_s
from runner.errors import ClientClosed, RunnerError, ServiceUnavailable
from runner.http_client.documents import jobs_found
from runner.http_client.problems import Problem
from runner.http_client.transport import Answer, Call, Lost, Stream, Transport
from runner.jobs import JobStatus

ANSWER_S = 10.0
"""Silence after which an answer is given up, beside the time that the service was asked to wait."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_MOST_IDS = 100
_MOST_URL = 4_000
"""Characters of ids in one URL: proxies take a few thousand."""


class HttpSession:
    """Open it inside the event loop that uses it. `patience_s` is how long one request is sent again and again."""

    def __init__(self, url: str, connect: Callable[[], Transport], patience_s: float) -> None:
        self._url = url
        self._transport = connect()
        self._patience_s = patience_s
        self._under_way: dict[asyncio.Timeout, bool] = {}
        """What is done just now, and whether it only waits for something."""
        self._idle = asyncio.Event()
        self._states: Batcher[str, JobStatus | None] = Batcher(self._state_each, fitting=_fitting)
        self.is_closed = False
        self.polls = 0
        """Requests that wait for the end of a job."""

    async def close(self) -> None:
        """Close every connection for good, once all that was asked has its answer. What waits ends with `ClientClosed`."""
        self.is_closed = True
        for scope, waits in self._under_way.items():
            if waits:
                scope.reschedule(0)
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()
        await self._states.close()
        await self._transport.close()

    def abandon(self) -> None:
        """The event loop was closed before the session: its sockets are closed when they are collected."""

    async def ask(self, call: Call, *, instead: Mapping[str, type[RunnerError]] | None = None, is_patient: bool = True) -> Answer:
        """The answer to a request, which is a success. It is sent again, if that is safe, until the patience is over.

        instead: errors for some kinds of problems, in the place of theirs. Raises what `Problem` makes of the answer, `ClientClosed`,
        `ServiceUnavailable`.
        """
        ends_s = monotonic_s() + (self._patience_s if is_patient else 0.0)
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._doing(waits=call.wait_s > 0):
                    answer = await self._transport.send(call, _silence_s(call, ends_s))
                if 200 <= answer.status < 300:
                    return answer
                problem = Problem(answer, self._url)
                error, after_s = problem.error(instead), problem.retry_after_s
                is_over = not (problem.is_temporary and (call.is_repeatable or problem.is_before_all))
            except Lost as lost:
                error, after_s = self._unreached(lost), None
                is_over = lost.is_hopeless or (lost.was_sent and not call.is_repeatable)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            wait_s = pause_s * random.uniform(0.5, 1.0) if after_s is None else after_s * random.uniform(1.0, 1.1)
            if is_over or monotonic_s() + wait_s > ends_s:
                raise error
            await self.pause(wait_s)

    @asynccontextmanager
    async def stream(self, call: Call, silence_s: float = ANSWER_S) -> AsyncIterator[Stream]:
        """A success whose body is read part by part. Raises as `ask`, and `Lost`."""
        async with self._doing(waits=True):
            opening = self._transport.stream(call, silence_s)
            stream = await opening.__aenter__()
        try:
            if not 200 <= stream.answer.status < 300:
                raise Problem(stream.answer, self._url).error()
            yield stream
        finally:
            await opening.__aexit__(None, None, None)

    async def parts(self, call: Call) -> AsyncGenerator[bytes, None]:
        """The body of an answer, part by part. Raises as `ask`."""
        try:
            async with self.stream(call) as stream, aclosing(self.each(stream)) as parts:
                async for part in parts:
                    yield part
        except Lost as lost:
            raise self._unreached(lost) from None

    async def each(self, stream: Stream) -> AsyncGenerator[bytes, None]:
        """The parts of a stream, until the session is closed. Raises `Lost`, `ClientClosed`."""
        parts = aiter(stream.parts)
        while True:
            async with self._doing(waits=True):
                part = await anext(parts, None)
            if part is None:
                return
            yield part

    async def pause(self, seconds: float) -> None:
        """Wait a while. Raises `ClientClosed`."""
        async with self._doing(waits=True):
            await asyncio.sleep(seconds)

    async def state(self, job_id: str) -> JobStatus | None:
        """A job without what it carries, None if it is unknown; those that are asked for at the same time share a request."""
        return await self._states.ask(job_id)

    def lost(self, why: Lost | None) -> ServiceUnavailable:
        """The error of a stream that cannot be had again."""
        return self._unreached(why or Lost("the stream ends again and again", was_sent=True))

    @property
    def patience_s(self) -> float:
        """How long one request is sent again and again."""
        return self._patience_s

    async def _state_each(self, ids: Sequence[str]) -> list[JobStatus | None]:
        once = list(dict.fromkeys(ids))
        found = dict(zip(once, jobs_found(await self.ask(Call("GET", "/v1/jobs", {"id": once}))), strict=True))
        return [found[job_id] for job_id in ids]

    @asynccontextmanager
    async def _doing(self, *, waits: bool) -> AsyncIterator[None]:
        """Around what takes time. Raises `ClientClosed` if the session is closed, and if it is closed while this `waits`."""
        if self.is_closed:
            raise ClientClosed(f"the client of {self._url} is closed")
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._under_way[scope] = waits
                yield
        except TimeoutError:
            if scope.expired():
                raise ClientClosed(f"the client of {self._url} was closed meanwhile") from None
            raise
        finally:
            self._under_way.pop(scope, None)
            if not self._under_way:
                self._idle.set()

    def _unreached(self, lost: Lost) -> ServiceUnavailable:
        return ServiceUnavailable(f"the service at {self._url} is not reached: {lost}")


def _silence_s(call: Call, ends_s: float) -> float:
    left_s = ends_s - monotonic_s()
    return call.wait_s + (ANSWER_S if left_s <= 0 else max(min(ANSWER_S, left_s), 1.0))


def _fitting(ids: Sequence[str]) -> int:
    """How many ids, from the first on, one URL holds."""
    length = 0
    for count, job_id in enumerate(ids[:_MOST_IDS]):
        length += len(job_id) + 4
        if length > _MOST_URL and count:
            return count
    return min(len(ids), _MOST_IDS)


def portions(ids: Sequence[str]) -> list[list[str]]:
    """Ids in parts, each for one URL."""
    rest, found = list(ids), list[list[str]]()
    while rest:
        count = _fitting(rest)
        found.append(rest[:count])
        rest = rest[count:]
    return found
