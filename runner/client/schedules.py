"""ScheduleControl: add, change, pause and trigger schedules at run time, while everything runs."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runner.client.blocking import Blocking, door, through
from runner.client.catalog import PublishedTask
from runner.client.handle import BlockingHandle, JobHandle, handle_of
from runner.client.listing import Listing
from runner.client.reasons import checked_reason
from runner.client.schedule_jobs import Pages, cancel_jobs_of
from runner.client.schedule_options import ScheduleOptions
from runner.client.session import duplicate_of
from runner.client.stored_jobs import StoredJobs
from runner.errors import ConfigurationError, JobIdConflict, ScheduleConflict, UnknownSchedule
from runner.jobs import (
    Acceptance,
    JobOptions,
    OtherJob,
    ScheduleSpec,
    ScheduleStatus,
    check_schedule_name,
    made_by_schedule,
)
from runner.names import first_of
from runner.store import Change, KnownSchedule, Schedules

_MOST_TRIES = 100
"""Of a change that others come before, each of which has succeeded then."""
_MOST_NAMED = 10


def job_of(spec: ScheduleSpec, task: PublishedTask, job_id: str) -> Any:
    """A job of the schedule. Raises a `SubmissionRefused`."""
    return made_by_schedule(task.prepare(spec.args, JobOptions(id=job_id, **spec.options)), spec.name)


class ScheduleControl:
    """The schedules of a queue: `client.schedules`. The leader among the workers fires them; no process of their own is needed."""

    def __init__(self, jobs_here: Callable[[], Any], pages: Pages) -> None:
        self._jobs_here = jobs_here
        self._pages = pages

    @property
    def _jobs(self) -> StoredJobs:
        """The calls about the jobs of a client."""
        jobs: StoredJobs = self._jobs_here()
        return jobs

    @property
    def _store(self) -> Schedules:
        return self._jobs.sessions.here.store

    async def add(
        self,
        name: str,
        task: str,
        args: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        every: float | None = None,
        tz: str = "UTC",
        start: datetime | None = None,
        end: datetime | None = None,
        missed: str = "latest",
        grace: float = 60.0,
        overlap: str = "skip",
        jitter: float = 0.0,
        options: JobOptions | None = None,
    ) -> ScheduleStatus:
        """Add a schedule, or change the one of this name; the same again changes nothing, and no instant runs twice.

        cron: five fields, in the time zone `tz`; every: seconds, from `start` on, or from now. end: the last instant it can have. missed: of
        instants that have passed while nobody fired them the "latest" one runs, "all" of them (the latest 100), or none that is over `grace`
        seconds late ("skip"). overlap: while the run before has not ended, "skip" the next one, "queue" one, or "allow" it. jitter: seconds by
        which it is run later at most. options: of its jobs.
        Raises `InvalidSchedule`, `UnknownTask`, `InvalidArguments` or another `SubmissionRefused`; `ScheduleConflict` if code declares this name.
        """
        given = ScheduleOptions(cron, every, tz, start, end, missed, grace, overlap, jitter, options)
        spec = given.spec(name, task, args)
        published = await self._jobs.sessions.here.catalog.get(spec.task)
        job = job_of(spec, published, spec.job_id(0))
        body = _with_args(spec, json.loads(job.args)).to_json()

        def change(known: KnownSchedule, now_us: int) -> Change | None:
            entry = known.entry
            if entry is not None and entry.in_code:
                raise ScheduleConflict(f"schedule {spec.name!r} is declared in code: change it there, or choose another name")
            if entry is not None and entry.body == body:
                return None
            return put_of(spec, body, known, now_us)

        return await self._change(spec.name, change, may_be_new=True)

    async def list(self) -> list[ScheduleStatus]:
        """Every schedule, by name."""
        _, found = await self._store.known_schedules(await self._store.schedule_names())
        return [known.status for known in found if known.status is not None]

    async def show(self, name: str) -> ScheduleStatus:
        """One schedule as it stands. Raises `UnknownSchedule` naming the known ones."""
        check_schedule_name(name)
        _, (known,) = await self._store.known_schedules([name])
        if known.status is None:
            raise await self._unknown(name)
        return known.status

    async def pause(self, name: str, reason: str = "") -> ScheduleStatus:
        """Fire it no more. Its jobs go on. The instants that pass meanwhile are not made up for. Raises `UnknownSchedule`."""
        return await self._change(name, lambda known, _: _act(known, "pause")._replace(reason=checked_reason(reason)))

    async def resume(self, name: str) -> ScheduleStatus:
        """End a pause: its next run is at its next instant. Raises `UnknownSchedule`."""

        def change(known: KnownSchedule, now_us: int) -> Change:
            entry = known.entry
            if entry is None or entry.spec is None:
                return _act(known, "resume")
            nominal_us, due_us = _next_of(entry.spec, known, now_us)
            return _act(known, "resume")._replace(nominal_us=nominal_us, due_us=due_us)

        return await self._change(name, change)

    async def trigger(self, name: str) -> JobHandle[Any]:
        """Run it now, beside its instants, also if it is paused; of a unique task it can be the job that is there. Raises `UnknownSchedule`, and as `Client.submit`."""
        status = await self.show(name)
        if status.spec is None:
            raise ConfigurationError(f"schedule {name!r} cannot be run: {status.fault}")
        session = self._jobs.sessions.here
        job = job_of(status.spec, await session.catalog.get(status.spec.task), f"{name}:by-hand-{secrets.token_hex(6)}")
        told = await self._store.trigger(name, job)
        if told is None:
            raise await self._unknown(name)
        if told is Acceptance.conflict:
            raise JobIdConflict(f"job {job.id!r} exists with another task or other arguments: try again")
        if isinstance(told, OtherJob) and told.state is Acceptance.duplicate:
            raise duplicate_of(job.task, told.id)
        return handle_of(self._jobs, job.id, told)

    async def remove(self, name: str, *, cancel: bool = False) -> ScheduleStatus:
        """Remove it; its jobs stay, or with `cancel` all of them that have not ended are cancelled. Returns how it stood.

        One that is declared in code comes back with its code.
        """
        status = await self.show(name)
        await self._change(name, lambda known, _: _act(known, "remove"), after=False)
        if cancel:
            await cancel_jobs_of(name, self._pages, self._jobs.cancel)
        return status

    async def _unknown(self, name: str) -> UnknownSchedule:
        names = first_of(await self._store.schedule_names(), _MOST_NAMED)
        return UnknownSchedule(f"unknown schedule {name!r} on queue {self._store.keys.queue!r} (known: {names or 'none'})")

    async def _change(
        self, name: str, change: Callable[[KnownSchedule, int], Change | None], *, may_be_new: bool = False, after: bool = True
    ) -> ScheduleStatus:
        """Change it as it is now, and again if another one came before. How it stands then, if it is still there."""
        check_schedule_name(name)
        for _ in range(_MOST_TRIES):
            now_us, (known,) = await self._store.known_schedules([name])
            if known.entry is None and not may_be_new:
                raise await self._unknown(name)
            wanted = change(known, now_us)
            if wanted is None or await self._store.change_schedule(wanted):
                break
        else:
            raise ScheduleConflict(f"schedule {name!r} is changed by others all the time: try again")
        return await self.show(name) if after or known.status is None else known.status


class BlockingScheduleControl(Blocking):
    """A `ScheduleControl` for code without an event loop."""

    __slots__ = ()
    _of: ScheduleControl

    add = through(ScheduleControl.add)
    list = through(ScheduleControl.list)
    show = through(ScheduleControl.show)
    pause = through(ScheduleControl.pause)
    resume = through(ScheduleControl.resume)
    remove = through(ScheduleControl.remove)

    def trigger(self, name: str) -> BlockingHandle[Any]:
        """Run it now, see `ScheduleControl.trigger`."""
        return door.call(lambda: self._of.trigger(name)).blocking


class Scheduled(Listing):
    """A client that reaches the schedules of its queue."""

    _jobs: StoredJobs

    @property
    def schedules(self) -> ScheduleControl:
        """Add, change, pause and trigger schedules while everything runs."""
        return ScheduleControl(lambda: self._jobs, lambda chosen, cursor: self.jobs(chosen, cursor=cursor))


class BlockingScheduled(Blocking):
    """The same for code without an event loop."""

    __slots__ = ()

    @property
    def schedules(self) -> BlockingScheduleControl:
        """Add, change, pause and trigger schedules while everything runs."""
        return BlockingScheduleControl(self._of.schedules)


def put_of(spec: ScheduleSpec, body: str, known: KnownSchedule, now_us: int) -> Change:
    """What makes this the schedule of its name. Its grid goes on if it has one, and what has run does not run again."""
    anchored = known if known.entry is not None and known.anchor_us is not None else known._replace(anchor_us=now_us)
    nominal_us, due_us = _next_of(spec, anchored, now_us)
    expected = known.entry.version if known.entry is not None else ""
    return Change(spec.name, "put", expected, nominal_us=nominal_us, due_us=due_us, body=body, anchor_us=anchored.anchor_us or now_us)


def _next_of(spec: ScheduleSpec, known: KnownSchedule, now_us: int) -> tuple[int | None, int | None]:
    """Its next instant, and when that is run."""
    nominal_us = spec.after(max(now_us, known.last_us or 0), known.anchor_us or now_us)
    return nominal_us, None if nominal_us is None else spec.due_us(nominal_us)


def _act(known: KnownSchedule, act: str) -> Change:
    return Change(known.name, act, known.entry.version if known.entry is not None else "")


def _with_args(spec: ScheduleSpec, args: Mapping[str, Any]) -> ScheduleSpec:
    return replace(spec, args=args)
