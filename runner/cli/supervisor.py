"""Supervisor: keeps a number of worker processes at work. It imports no app and never speaks to Redis; the embedded server is its own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from runner.cli.worker_process import WorkerProcess, command_of
from runner.connection import EmbeddedServer
from runner.telemetry import Status

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
"""Before a worker is started again that has ended unasked: twice as long each time, and from the start after it has worked for a minute."""
_LONG_WORK_S = 60.0
_HOPELESS = frozenset({2, 6})
"""Exit codes of a start that will not succeed by itself: settings or the app are wrong, or its lifespan fails."""
INTERRUPTED = 130

Report = Callable[..., None]
"""Takes the name of an event and its text, and fields for machines by name."""


class _Place:
    """One of the workers that there are to be, whichever process it is."""

    def __init__(self, number: int, options: Sequence[str]) -> None:
        self.number = number
        self.options = options
        self.current: WorkerProcess | None = None
        self.lock = asyncio.Lock()
        """Held while the place gets another process."""
        self.pause_s = _FIRST_PAUSE_S
        self.changed = asyncio.Event()


class Supervisor:
    """Starts the workers, and others in their places. `drain_s`: until a worker has told how long its drain takes at most.

    options: the words after `worker` of all of them; `own_options` adds those of the worker in each place, from 1 on. One that is idle ends the rest.
    changes: yields when the code has changed; each worker is replaced then, and one that cannot start waits for the next change.
    """

    def __init__(
        self,
        options: Sequence[str],
        report: Report,
        *,
        processes: int,
        drain_s: float,
        own_options: Callable[[int], Sequence[str]] = lambda _: (),
        changes: AsyncIterator[str] | None = None,
    ) -> None:
        self._report = report
        self._drain_s = drain_s
        self._changes = changes
        self._places = [_Place(number, [*options, *own_options(number)]) for number in range(1, processes + 1)]
        self._workers: set[WorkerProcess] = set()
        self._has_worked = False
        self._code: int | None = None
        self._has_failed = False
        self._signals = 0
        self._stopping = asyncio.Event()
        self._roll_wanted = asyncio.Event()
        self._servers = ExitStack()
        self._served: set[str] = set()
        self._serving = asyncio.Lock()

    @property
    def readiness(self) -> Status:
        """Whether there is a worker at work in each place, and none is to stop."""
        if self._stopping.is_set():
            return Status(holds=False, why="the workers drain")
        at_work = sum(
            place.current is not None and place.current.working.is_set() and not place.current.over.is_set() for place in self._places
        )
        missing = len(self._places) - at_work
        return Status(not missing, f"{missing} of {len(self._places)} workers do not work" if missing else "")

    async def run(self) -> int:
        """Until a signal ends it, and all workers with it; the exit code."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            stack.enter_context(self._servers)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop_by, number)
                stack.callback(loop.remove_signal_handler, number)
            loop.add_signal_handler(signal.SIGHUP, self._roll_wanted.set)
            stack.callback(loop.remove_signal_handler, signal.SIGHUP)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(place), name=f"place {place.number}") for place in self._places]
                tasks.append(group.create_task(self._roll_when_asked(), name="rolling"))
                reloading = None if self._changes is None else group.create_task(self._reload(self._changes), name="reloading")
                await self._stopping.wait()
                if reloading is not None:
                    reloading.cancel()
            # The signals are heeded until the last worker has ended.
            while self._workers:
                await asyncio.wait({worker.ended for worker in self._workers})
                await asyncio.sleep(0)
        return self._code or int(self._has_failed)

    # Its end

    def _stop_by(self, number: signal.Signals) -> None:
        self._signals += 1
        if self._stopping.is_set():
            if number is signal.SIGINT:
                self._code = INTERRUPTED
            self._report("hurrying", "stopping at once: running jobs are given back")
            for worker in self._workers:
                worker.drain()
        else:
            count = len(self._workers)
            self._stop()
            self._report("stopping", f"stopping {count} workers; a second signal stops them at once")

    def _stop(self, code: int | None = None) -> None:
        """End with this exit code, once all workers have left."""
        if self._code is None:
            self._code = code
        self._stopping.set()
        for worker in self._workers:
            if not worker.is_draining:  # a second signal would cut its jobs
                worker.drain()

    # The places

    async def _start(self, place: _Place) -> WorkerProcess:
        worker = await WorkerProcess.start(place.number, command_of(place.options), self._drain_s, self._serve)
        self._workers.add(worker)
        worker.ended.add_done_callback(lambda _: self._bury(worker))
        if self._stopping.is_set():
            worker.drain()
        return worker

    def _bury(self, worker: WorkerProcess) -> None:
        self._workers.discard(worker)
        self._has_worked = self._has_worked or worker.working.is_set()
        if worker.was_killed:
            self._report("killed", f"{_name(worker)} had not ended in time and was killed: its jobs run again", pid=worker.pid)
        was_starting = worker.code == -signal.SIGTERM and not worker.working.is_set()
        if worker.is_draining and worker.code and not was_starting:
            self._has_failed = True

    async def _keep(self, place: _Place) -> None:
        """Have a worker in this place until the end."""
        while not self._stopping.is_set():
            async with place.lock:
                if place.current is None or place.current.over.is_set():
                    place.current = await self._start(place)
                worker = place.current
            await self._first_of(worker.over)
            if self._stopping.is_set() or place.current is not worker:
                continue
            if not worker.is_draining:
                await worker.ended
            if worker.is_draining:
                place.pause_s = _FIRST_PAUSE_S
            else:
                await self._answer_end(place, worker)

    async def _answer_end(self, place: _Place, worker: WorkerProcess) -> None:
        """A worker has ended unasked: what now."""
        if worker.is_idle:
            return self._stop(worker.code)
        has_worked = self._has_worked or any(other.working.is_set() for other in self._workers)
        if worker.code in _HOPELESS and not (has_worked or self._changes):
            self._report("failed", f"{_name(worker)} cannot start: {worker.end_in_words}", pid=worker.pid, code=worker.code)
            return self._stop(worker.code)
        if worker.worked_s >= _LONG_WORK_S:
            place.pause_s = _FIRST_PAUSE_S
        waits_for_code = self._changes is not None and not worker.working.is_set()
        then = "it is started again when its code changes" if waits_for_code else f"it is started again in {place.pause_s:g} s"
        text = f"{_name(worker)} ended with {worker.end_in_words} after {worker.worked_s:.1f} s of work; {then}"
        self._report("ended", text, pid=worker.pid, code=worker.code)
        if waits_for_code:
            await self._first_of(place.changed)
        else:
            pause_s, place.pause_s = place.pause_s, min(2 * place.pause_s, _LONGEST_PAUSE_S)
            await self._first_of(timeout_s=pause_s)
        return None

    # Replacing workers

    async def _roll_when_asked(self) -> None:
        while not self._stopping.is_set():
            await self._first_of(self._roll_wanted)
            if self._roll_wanted.is_set() and not self._stopping.is_set():
                self._roll_wanted.clear()
                await self._roll()

    async def _roll(self) -> None:
        """Replace one worker after the other; each of the old ones leaves once the new one works."""
        for place in self._places:
            async with place.lock:
                old, new = place.current, await self._start(place)
                await self._first_of(new.working, new.over)
                if self._stopping.is_set():
                    return
                if not new.working.is_set():
                    text = f"{_name(new)} ended with {new.end_in_words} before it worked: the workers that are left stay as they are"
                    await new.ended
                    self._report("rolling stopped", text, pid=new.pid, code=new.code)
                    return
                place.current, place.pause_s = new, _FIRST_PAUSE_S
                if old is not None:
                    old.drain()
                self._report(
                    "replaced", f"{_name(new)} works in the place of {'none' if old is None else f'process {old.pid}'}", pid=new.pid
                )

    async def _reload(self, changes: AsyncIterator[str]) -> None:
        async for change in changes:
            self._report("reloading", f"{change} has changed: the workers start anew")
            for place in self._places:
                place.changed.set()
                place.changed = asyncio.Event()
                if place.current is not None and not place.current.over.is_set():
                    place.current.drain()

    # What they need

    async def _serve(self, folder: str) -> None:
        """Start the embedded server of a folder, which lives as long as this process; the workers attach to it."""
        async with self._serving:
            if folder not in self._served:
                self._servers.enter_context(await asyncio.to_thread(EmbeddedServer.attach_or_start, Path(folder)))
                self._served.add(folder)

    async def _first_of(self, *events: asyncio.Event, timeout_s: float | None = None) -> None:
        """Until one of these is set, the time is over, or this supervisor is to stop."""
        waits = [asyncio.create_task(event.wait()) for event in (*events, self._stopping)]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _name(worker: WorkerProcess) -> str:
    return f"worker {worker.place} (process {worker.pid})"
