"""ChildPool: the child processes of a worker. They are started ahead, replaced when they have worked enough, and never waited for."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

from runner.client import Runner
from runner.errors import ChildCrashed, ConfigurationError, StartFailed
from runner.forks import forget_after_fork
from runner.jobs import Children, JsonFormatter
from runner.worker.app_address import AppAddress, address_of
from runner.worker.child_process import ChildProcess
from runner.worker.frames import Frame
from runner.worker.uncut import uncut

log = logging.getLogger("runner")

_LEAVE_S, _LEAVE_LIFESPAN_S = 2.0, 8.0
"""So long a child that is to leave may take for what the app does at exit, and for a lifespan."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class NoChildren:
    """Of a worker whose tasks need none."""

    tasks: frozenset[str] = frozenset()
    names = ""
    """Of the tasks, as a claim takes them."""

    async def wait_for_room(self) -> None:
        """There never is any."""
        await asyncio.get_running_loop().create_future()

    def reserve(self) -> int:
        return 0

    def unreserve(self, children: int) -> None:
        """Nothing is reserved."""

    def begin(self) -> None:
        """No job needs a child."""

    def end(self) -> None:
        """No job needs a child."""

    async def start(self) -> None:
        """There is nothing to start."""

    async def run(self, frame: Frame, hear: Callable[[Frame], None]) -> Frame:  # noqa: ARG002 - as of a pool
        """No task is declared to run in one."""
        raise AssertionError(f"no child runs {frame.head}")

    async def close(self) -> None:
        """There is nothing to end."""


class ChildPool(NoChildren):
    """`tasks` run in children, the slots of their jobs: a claim starts no more of these than it has reserved children."""

    def __init__(self, runner: Runner, tasks: frozenset[str], address: AppAddress) -> None:
        self.tasks = tasks
        self.names = "\n".join(("", *sorted(tasks), ""))
        self._runner = runner
        self._address = address
        policies = {name: runner.tasks[name].definition.policy for name in tasks}
        self._most_jobs = {name: policy.max_jobs_per_child for name, policy in policies.items() if policy.max_jobs_per_child is not None}
        self._children: Children = runner.children
        self._idle: list[ChildProcess] = []
        self._all: set[ChildProcess] = set()
        self._ready = self._begun = self._reserved = 0
        self._starting: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_closed = False
        self._leave_s = _LEAVE_LIFESPAN_S if self._children.lifespan else _LEAVE_S
        forget_after_fork(self)

    # What a claim may count on

    async def wait_for_room(self) -> None:
        """Until a child is free that no claim counts on."""
        while not self._room:
            self._has_room.clear()
            await self._has_room.wait()

    def reserve(self) -> int:
        """Reserve the free children for a claim that is sent now; how many."""
        children = self._room
        self._reserved += children
        return children

    def unreserve(self, children: int) -> None:
        """The claim has its reply; each job that it started counts from `begin` to `end`."""
        self._reserved -= children
        self._has_room.set()

    def begin(self) -> None:
        self._begun += 1

    def end(self) -> None:
        self._begun -= 1
        self._has_room.set()

    @property
    def _room(self) -> int:
        return max(min(self._ready, self._children.size) - self._begun - self._reserved, 0)

    # Children

    async def start(self) -> None:
        """Until all are ready. Raises `ConfigurationError` if one cannot start, and `StartFailed` if it cannot enter the lifespan."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._children.size):
                    group.create_task(self._start_one())
        except* ChildCrashed as errors:
            await self.close()
            raise ConfigurationError(
                f"a child process for {', '.join(sorted(self.tasks))} cannot import the app: {errors.exceptions[0]}; its traceback is above"
            ) from errors.exceptions[0]
        except* StartFailed as errors:
            await self.close()
            raise StartFailed(f"a child process: {errors.exceptions[0]}") from errors.exceptions[0]

    async def run(self, frame: Frame, hear: Callable[[Frame], None]) -> Frame:
        """Run a job in a child, as soon as one is free; cancelled, it kills the child. `hear` gets what the child says meanwhile.

        Raises `ChildCrashed`.
        """
        while not self._idle:
            self._freed.clear()
            await self._freed.wait()
        child = self._idle.pop()
        child.ran[frame.head["job"]["task"]] += 1
        is_last = self._is_used_up(child)
        if is_last:
            self._replace()
        try:
            answer = await child.ask(frame, hear)
        except BaseException:
            child.kill()
            if not is_last:
                self._replace()
            self._ready -= 1
            await uncut(child.gone)  # the attempt is over once nothing of it runs
            raise
        child.resident = int(answer.head.get("resident", 0))
        if not is_last and self._children.max_memory is not None and child.resident > self._children.max_memory:
            is_last = True
            self._replace()
        if is_last:
            self._ready -= 1
            self._starting.add(leaving := asyncio.create_task(child.leave(self._leave_s)))
            leaving.add_done_callback(self._starting.discard)
        else:
            self._give(child)
        return answer

    def _is_used_up(self, child: ChildProcess) -> bool:
        """Whether it gets no more jobs: of all tasks together, or of one that says so."""
        return child.ran.total() >= self._children.max_jobs or any(
            child.ran[task] >= most for task in child.ran if (most := self._most_jobs.get(task))
        )

    async def close(self) -> None:
        """End all of them."""
        self._is_closed = True
        for task in self._starting:
            task.cancel()
        if self._starting:
            await asyncio.wait(self._starting)
        for child in self._all.difference(self._idle):
            child.kill()
        await asyncio.gather(*(child.leave(self._leave_s) for child in tuple(self._all)))

    def forget(self) -> None:
        """In a forked process: the children are its parent's."""
        for child in self._all:
            child.forget()

    def _give(self, child: ChildProcess) -> None:
        if child.is_alive:
            self._idle.append(child)
            self._freed.set()
            self._has_room.set()

    async def _start_one(self) -> None:
        child = await ChildProcess.start(_told(self._runner, self._address), self._children.start_timeout)
        self._all.add(child)
        child.ended.add_done_callback(lambda _: self._bury(child))
        self._ready += 1
        self._give(child)

    def _bury(self, child: ChildProcess) -> None:
        self._all.discard(child)
        if child in self._idle:
            self._idle.remove(child)
            self._ready -= 1
            if not self._is_closed:
                log.warning("a child process ended while it ran no job; another one takes its place")
                self._replace()

    def _replace(self) -> None:
        """Start another one, for one that runs its last job or is gone."""
        if not self._is_closed:
            self._starting.add(starting := asyncio.create_task(self._start_until_ready()))
            starting.add_done_callback(self._starting.discard)

    async def _start_until_ready(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._start_one()
            except (ChildCrashed, StartFailed, OSError) as error:
                log.error("a child process cannot start, which is tried again in %g s: %s", pause_s, error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def children_of(runner: Runner) -> NoChildren:
    """The pool for the tasks that run in processes. Raises `ConfigurationError` if a child could not import the app."""
    tasks = frozenset(name for name, task in runner.tasks.items() if task.definition.policy.in_process)
    return ChildPool(runner, tasks, address_of(runner, tasks)) if tasks else NoChildren()


def _told(runner: Runner, address: AppAddress) -> dict[str, Any]:
    """What a child needs to be as this process is; settings that are no plain values come from its environment, as they came here."""
    settings = runner.settings.model_dump(exclude_unset=True).items()
    return {
        "path": sys.path,
        "app": address._asdict(),
        "settings": {name: value for name, value in settings if isinstance(value, (str, int, float, bool))},
        "log": _logging(),
    }


def _logging() -> dict[str, Any] | None:
    """From which level on this process logs, and how; None if nobody has said where to."""
    root = logging.getLogger()
    is_json = any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers)
    return {"level": root.level, "library": logging.getLogger("runner").level, "is_json": is_json} if root.handlers else None
