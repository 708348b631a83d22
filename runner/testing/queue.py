"""TestQueue: the real engine on a server of the test, in virtual time."""

import asyncio
import json
import math
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self

from runner.client import Blocking, BlockingHandle, Client, JobHandle, Runner, Task, door, pools_of, redirected, through
from runner.clock import MICROSECONDS, microseconds, wall_us
from runner.errors import ConfigurationError
from runner.jobs import JobStatus, StartedJob, State
from runner.store import DirectStore, load_scripts, put_clock, remove_clock
from runner.testing.clock import VirtualClock
from runner.testing.driver import Driver
from runner.testing.member import Member, Start
from runner.testing.server import server_url
from runner.testing.timers import VirtualTimers
from runner.testing.workplace import LEASE_S, Workplace

P = ParamSpec("P")

_MOST_ATTEMPTS = 10_000
_MINUTE_US = 60 * MICROSECONDS


class TestQueue:
    """Runs the jobs of apps in a test: `async with TestQueue(jobs) as queue:`, or `with` in a plain test.

    Inside the block all that goes through these apps and clients goes to a fresh queue on the embedded server of this process, or on the
    one at `url`. Its clock stands while anything is to be done, and jumps to the next instant at which there is. Each app has so many
    `workers`, with as many slots as its settings say. With `virtual_sleep` the handlers' `asyncio.sleep` and time-outs are on that clock too.
    """

    __test__ = False  # pytest takes classes of such names for tests

    def __init__(self, *apps: Runner[Any] | Client, url: str | None = None, workers: int = 1, virtual_sleep: bool = False) -> None:
        if not any(isinstance(app, Runner) for app in apps):
            raise ConfigurationError("TestQueue needs an app whose jobs it runs: TestQueue(jobs)")
        if workers < 1:
            raise ConfigurationError(f"workers is {workers!r}, and must be at least 1")
        self._apps = apps
        self._url = url
        self._workers = workers
        self._virtual_sleep = virtual_sleep
        # Redis drops what is full or over by its own clock: ours begins ahead of that, at a whole minute.
        self._clock = VirtualClock((wall_us() // _MINUTE_US + 2) * _MINUTE_US)
        self._stack = AsyncExitStack()
        self._places: list[Workplace] = []
        self._losing: Counter[str] = Counter()
        self._driver: Driver | None = None
        self._serving: asyncio.Task[None] | None = None
        self.starts: list[Start] = []
        """Every start, in order."""

    # The block

    async def __aenter__(self) -> Self:
        if self._driver is not None:
            raise ConfigurationError("this TestQueue was used before: make another one")
        load_scripts()
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        await self._stack.aclose()

    def __enter__(self) -> Self:
        return door.call(self.__aenter__)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        door.call(partial(self.__aexit__, kind, error, trace))

    async def _open(self) -> None:
        url = await asyncio.to_thread(server_url) if self._url is None else self._url
        by_queue: defaultdict[str, list[Runner[Any] | Client]] = defaultdict(list)
        for app in self._apps:
            by_queue[app.queue].append(app)
        for name, apps in by_queue.items():
            await self._redirect(f"{name[:40]}-{secrets.token_hex(4)}", apps, url)
        timers = self._stack.enter_context(VirtualTimers(self._clock)) if self._virtual_sleep else None
        self._loop = asyncio.get_running_loop()
        self._driver = Driver(self._places, self._clock, timers)
        self._clock.on_change = self._note_change_soon
        for place in self._places:
            self._stack.push_async_callback(place.close)
            await place.open(self._workers, self._note_start)

    async def _redirect(self, queue: str, apps: list[Runner[Any] | Client], url: str) -> None:
        put_clock(queue, self._clock)
        self._stack.callback(remove_clock, queue)
        runners = [app for app in apps if isinstance(app, Runner)]
        lease_s = (runners or apps)[0].settings.lease_s
        instead = {"redis_url": url, "lease_s": LEASE_S, "failpoints": None, "pools": _all_pools(runners)}
        for app in apps:
            settings = app.settings.model_copy(update=instead)
            await self._stack.enter_async_context(redirected(app, queue, settings))
        if runners:
            store = DirectStore(url, queue, runners[0].settings)
            self._places.append(Workplace(runners, store, self._clock, lease_s=lease_s, losing=self._losing))

    # Time

    @property
    def now(self) -> datetime:
        """The instant that the clock shows: for `run_at`, and to compare with the times of a status."""
        return datetime.fromtimestamp(self._clock.us / MICROSECONDS, UTC)

    @property
    def seconds(self) -> float:
        """How long the clock has run since the block began."""
        return self._clock.seconds()

    async def advance(self, seconds: float) -> None:
        """Let this time pass, and run what there is to run meanwhile. Raises `NeverIdle` after 10,000 attempts."""
        await self._run(microseconds(seconds), _MOST_ATTEMPTS, may_rest=False)

    async def run_until_idle(self, until: datetime | None = None, *, most: int = _MOST_ATTEMPTS) -> None:
        """Run all jobs to their end, those too that are delayed and tried again; or what there is to run until an instant.

        Raises `NeverIdle`, an AssertionError, naming what has not ended and why: if it never will by itself, or after so many attempts.
        """
        for_us = math.inf if until is None else max(round(until.timestamp() * MICROSECONDS) - self._clock.us, 0)
        await self._run(for_us, most, may_rest=True)

    async def _run(self, for_us: float, most: float, *, may_rest: bool) -> None:
        if self._driver is None or asyncio.get_running_loop() is not self._loop:
            raise ConfigurationError("a TestQueue runs jobs in the event loop whose `async with` it is; after `with` use queue.blocking")
        if self._clock.is_down:
            raise ConfigurationError("nothing runs while the server is away: leave `redis_down()` first")
        try:
            await self._driver.run(lambda: False, self._clock.us + for_us, most, may_rest=may_rest)
        finally:
            self._note_change()

    def _note_change_soon(self) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._note_change)

    def _note_change(self) -> None:
        """If the test waits for the end of a job, run jobs until it has ended."""
        if self._driver is not None:
            self._driver.note_change()
            if self._clock.outside and not self._driver.is_running and (self._serving is None or self._serving.done()):
                self._serving = asyncio.create_task(self._serve(self._driver), name="jobs that a test waits for")

    async def _serve(self, driver: Driver) -> None:
        try:
            await driver.run(lambda: not self._clock.outside, math.inf, _MOST_ATTEMPTS, may_rest=False)
        except Exception as error:  # noqa: BLE001 - who waits is told
            for wait in self._clock.outside:
                wait.end(error)

    # Faults

    def lose(self, job: JobHandle[Any] | BlockingHandle[Any] | str, *, times: int = 1) -> None:
        """Let the worker die with each of the next attempts at this job: after its handler has run, and before anybody learns of that.

        The job is taken back when the worker's lease is over, as after `kill -9`, and runs again.
        """
        self._losing[job if isinstance(job, str) else job.id] += times

    @contextmanager
    def redis_down(self) -> Iterator[None]:
        """A block in which the server is away: submissions and questions fail with `StoreUnavailable`."""
        self._clock.is_down = True
        try:
            yield
        finally:
            self._clock.is_down = False

    # What there is

    def _note_start(self, member: Member, job: StartedJob) -> None:
        self.starts.append(Start(job.id, job.task, json.loads(job.args), self._clock.seconds(), job.attempt, member.id))

    def jobs(self, state: State | str | None = None) -> list[JobStatus]:
        """Every job, or those in a state such as "waiting" or "failed", in the order of submission."""
        found = [job for place in self._places for job in place.store.jobs()]
        return [job for job in found if state is None or job.state is State(state)]

    def assert_submitted(self, task: Task[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Fails unless the task was submitted with these arguments."""
        asked, given = self._calls(task), json.loads(task.prepare(*args, **kwargs).args)
        assert given in asked, f"task {task.name!r} was not submitted with {given}; it was {_how_often(asked)}"

    def assert_not_submitted(self, task: Task[..., Any]) -> None:
        """Fails if the task was submitted, with whatever arguments."""
        asked = self._calls(task)
        assert not asked, f"task {task.name!r} was {_how_often(asked)}"

    def assert_no_dead_letters(self) -> None:
        """Fails if a job is a dead letter, with its error and the traceback of its handler."""
        failed = self.jobs(State.failed)
        errors = [job.error for job in failed if job.error is not None]
        text = "\n".join(
            f"{job.task} {job.id}: {error.type}: {error.message}\n{error.traceback}" for job, error in zip(failed, errors, strict=False)
        )
        assert not failed, f"{len(failed)} dead letters:\n{text}"

    def _calls(self, task: Task[..., Any]) -> list[Any]:
        return [job.args for job in self.jobs() if job.task == task.name]

    @property
    def blocking(self) -> "BlockingTestQueue":
        """The same for a plain test: `with TestQueue(jobs) as queue: ... queue.blocking.run_until_idle()`."""
        return BlockingTestQueue(self)


class BlockingTestQueue(Blocking):
    """What a `TestQueue` does, for code without an event loop."""

    __slots__ = ()

    advance = through(TestQueue.advance)
    run_until_idle = through(TestQueue.run_until_idle)


def _all_pools(runners: list[Runner[Any]]) -> str:
    """Those of child processes too: their jobs run in the slots of the workers here."""
    own = (task.definition.spec.pool for runner in runners for task in runner.tasks.values())
    return ",".join(dict.fromkeys([*pools_of(*runners).split(","), *own]))


def _how_often(asked: list[Any]) -> str:
    return f"submitted with {', '.join(map(str, asked[:10]))}{', ...' if len(asked) > 10 else ''}" if asked else "never submitted"
