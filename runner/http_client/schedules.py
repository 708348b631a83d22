"""HttpScheduleControl: the schedules of a queue as `ScheduleControl` has them, over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from runner.client import InEachLoop, JobCalls, JobHandle, Pages, cancel_jobs_of
from runner.errors import InvalidArguments
from runner.http_client.documents import json_of, schedule_of
from runner.http_client.listing import HttpListing
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import Acceptance, JobOptions, ScheduleStatus, check_schedule_name, make_schedule


class HttpScheduleControl:
    """Adds, changes, pauses and triggers schedules: the same methods, arguments and errors as those of `ScheduleControl`."""

    def __init__(self, sessions: InEachLoop[HttpSession], jobs: JobCalls, pages: Pages) -> None:
        self._sessions = sessions
        self._jobs = jobs
        self._pages = pages

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
        """Add a schedule, or change the one of this name, see `ScheduleControl.add`."""
        given: dict[str, Any] = {"task": task, "args": args or {}, "cron": cron, "every": every, "tz": tz, "missed": missed, "grace": grace}
        given |= {"start": start, "end": end, "overlap": overlap, "jitter": jitter, "options": {} if options is None else options._asdict()}
        # Here too, so that a mistake has the same error: the service knows of no object that is not JSON.
        spec = make_schedule(name, task, args, **{key: value for key, value in given.items() if key not in ("task", "args")})
        given["options"] = dict(spec.options)
        return await self._change("PUT", name, "", {key: value for key, value in given.items() if value is not None})

    async def list(self) -> list[ScheduleStatus]:
        """Every schedule, by name."""
        return [schedule_of(one) for one in (await self._ask(Call("GET", "/v1/schedules")))["schedules"]]

    async def show(self, name: str) -> ScheduleStatus:
        """One schedule as it stands. Raises `UnknownSchedule`."""
        return await self._change("GET", name, "", None)

    async def pause(self, name: str, reason: str = "") -> ScheduleStatus:
        """Fire it no more, see `ScheduleControl.pause`."""
        return await self._change("POST", name, "/pause", {"reason": reason})

    async def resume(self, name: str) -> ScheduleStatus:
        """End a pause. Raises `UnknownSchedule`."""
        return await self._change("POST", name, "/resume", None)

    async def trigger(self, name: str) -> JobHandle[Any]:
        """Run it now, see `ScheduleControl.trigger`. It is sent once: if its answer is lost, `show` tells whether it ran."""
        job = await self._ask(Call("POST", f"{_place(name)}/trigger", is_repeatable=False))
        return JobHandle(self._jobs, job["id"], Acceptance(job["state"]))

    async def remove(self, name: str, *, cancel: bool = False) -> ScheduleStatus:
        """Remove it, see `ScheduleControl.remove`."""
        status = await self._change("DELETE", name, "", None)
        if cancel:
            await cancel_jobs_of(name, self._pages, self._jobs.cancel)
        return status

    async def _change(self, method: str, name: str, verb: str, fields: dict[str, Any] | None) -> ScheduleStatus:
        body = None if fields is None else _encoded(fields)
        return schedule_of(await self._ask(Call(method, f"{_place(name)}{verb}", body=body)))

    async def _ask(self, call: Call) -> Any:
        return json_of(await self._sessions.here.ask(call))


class HttpScheduled(HttpListing):
    """A client that reaches the schedules of its queue through the service."""

    _sessions: InEachLoop[HttpSession]
    _jobs: JobCalls

    @property
    def schedules(self) -> HttpScheduleControl:
        """Add, change, pause and trigger schedules while everything runs."""
        return HttpScheduleControl(self._sessions, self._jobs, lambda chosen, cursor: self.jobs(chosen, cursor=cursor))


def _place(name: str) -> str:
    return f"/v1/schedules/{quote(check_schedule_name(name), safe='')}"


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        return to_json(fields)
    except ValueError as error:
        raise InvalidArguments(f"{fields!r:.200} cannot be sent: {error}") from None
