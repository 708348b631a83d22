"""HttpBulks: acts upon many jobs, over HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from runner.client import InEachLoop
from runner.clock import monotonic_s
from runner.errors import ConfigurationError, RunnerError
from runner.foreign import shown
from runner.http_client.documents import json_of, told
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import BulkAction, BulkPhase, BulkStatus, CountChanged, JobFilter, UnknownBulk, check_job_id, new_job_id
from runner.ranges import checked, checked_whole

_LOOK_S = 0.5
_ERRORS: Mapping[str, type[RunnerError]] = {"validation": ConfigurationError, "not-found": UnknownBulk}


class HttpBulks:
    """`Bulks` of a queue's HTTP service: within the rights of the key, the leader does what its caller waits for."""

    def __init__(self, sessions: InEachLoop[HttpSession]) -> None:
        self._sessions = sessions

    async def begin(self, action: str, filter: JobFilter, *, reason: str = "", id: str | None = None) -> BulkStatus:
        """Begin to count the jobs, see `Bulks.begin`."""
        given: object = filter
        if not isinstance(given, JobFilter):
            raise ConfigurationError(f"a filter is {shown(given, 60)}: give a JobFilter(...)")
        bulk_id = new_job_id() if id is None else check_job_id(id)
        body = {"action": action, "filter": _filter(filter), "reason": reason, "id": bulk_id}
        return await self._ask("POST", "", body)

    async def status(self, id: str) -> BulkStatus:
        """One as it stands. Raises `UnknownBulk`."""
        return await self._ask("GET", f"/{_id(id)}")

    async def all(self) -> list[BulkStatus]:
        """Those that are open, and those that ended last."""
        answer = await self._sessions.here.ask(Call("GET", "/v1/bulk"), instead=_ERRORS)
        return [bulk_of(document) for document in json_of(answer)["bulks"]]

    async def counted(self, id: str, timeout: float | None = None) -> BulkStatus:
        """One that is counted, or as it is after `timeout` seconds. Raises `UnknownBulk`."""
        return await self._until(id, frozenset({BulkPhase.counting}), timeout)

    async def confirm(self, id: str, expected: int) -> BulkStatus:
        """Do it, to so many jobs as were counted, see `Bulks.confirm`. Raises `CountChanged`, `AlreadyFinished`, `UnknownBulk`."""
        checked_whole("jobs of a bulk", expected, of=f"bulk {id!r}")
        try:
            return await self._ask("POST", f"/{_id(id)}/confirm", {"expected": expected})
        except CountChanged as error:
            error.counted = (await self.status(id)).counted
            raise

    async def stop(self, id: str) -> BulkStatus:
        """Go no further. Raises `UnknownBulk`."""
        return await self._ask("DELETE", f"/{_id(id)}")

    async def wait(self, id: str, timeout: float | None = None) -> BulkStatus:
        """One that is over, or as it is after `timeout` seconds. Raises `UnknownBulk`; `CountChanged` if nobody has confirmed it."""
        status = await self._until(id, frozenset({BulkPhase.counting, BulkPhase.acting}), timeout)
        if status.phase is BulkPhase.counted:
            error = CountChanged(f"bulk {id!r} waits to be confirmed with its {status.counted} jobs")
            error.counted = status.counted
            raise error
        return status

    async def _until(self, bulk_id: str, phases: frozenset[BulkPhase], timeout: float | None) -> BulkStatus:
        until_s = float("inf") if timeout is None else monotonic_s() + checked("timeout of a wait", timeout)
        status = await self.status(bulk_id)
        while status.phase in phases and (left_s := until_s - monotonic_s()) > 0:
            await self._sessions.here.pause(min(_LOOK_S, left_s))
            status = await self.status(bulk_id)
        return status

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> BulkStatus:
        call = Call(method, f"/v1/bulk{path}", body=None if body is None else to_json(body))
        return bulk_of(json_of(await self._sessions.here.ask(call, instead=_ERRORS)))


def bulk_of(document: Mapping[str, Any]) -> BulkStatus:
    """One of an answer."""
    times = {name: _seconds(document[name]) for name in ("began_at", "counted_at", "confirmed_at", "ended_at")}
    return BulkStatus(
        **{**told(BulkStatus, document), **times, "action": BulkAction(document["action"]), "phase": BulkPhase(document["phase"])}
    )


def _filter(filter: JobFilter) -> dict[str, Any]:
    document = filter.document()
    document.pop("oldest_first", None)
    return {name: _instant(value) if name.endswith(("_from", "_to")) else value for name, value in document.items()}


def _instant(value: object) -> object:
    return datetime.fromtimestamp(value, UTC).isoformat() if isinstance(value, int | float) else value


def _id(bulk_id: str) -> str:
    return quote(check_job_id(bulk_id), safe="")


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
