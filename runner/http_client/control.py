"""HttpControl: the changes of limits that `Control` makes, over HTTP."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from runner.client import InEachLoop, seconds_said
from runner.errors import ConfigurationError, RunnerError, UnknownLimit
from runner.http_client.documents import json_of, limit_status_of
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.limits import LimitStatus
from runner.ranges import checked

_ERRORS: Mapping[str, type[RunnerError]] = {"not-found": UnknownLimit, "validation": ConfigurationError}


class HttpControl:
    """Changes the limits of a queue, as `Control` does: the same methods, arguments and errors. Every method returns the limit as it stands then.

    The reason of a change begins with the name of the key, which the service writes before it.
    """

    def __init__(self, sessions: InEachLoop[HttpSession]) -> None:
        self._sessions = sessions

    async def override(self, /, name: str, *, duration: float | None = None, reason: str = "", **numbers: Any) -> LimitStatus:
        """Put other numbers in force, see `Control.override`."""
        given = {field: value for field, value in numbers.items() if value is not None}
        seconds = None if duration is None else checked("duration", duration, of=f"override of {name!r}")
        return await self._change("PUT", name, "", {**given, "duration": seconds, "reason": reason})

    async def restore(self, name: str) -> LimitStatus:
        """Put the numbers of the code in force again. Raises `UnknownLimit`."""
        return await self._change("DELETE", name, "/override", None)

    async def pause(self, name: str, reason: str = "") -> LimitStatus:
        """Let no more jobs start under a limit, see `Control.pause`. Raises `UnknownLimit`."""
        return await self._change("POST", name, "/pause", {"reason": reason})

    async def resume(self, name: str) -> LimitStatus:
        """End a pause. Raises `UnknownLimit`."""
        return await self._change("POST", name, "/resume", {})

    async def freeze(self, bucket: str, duration: object, reason: str = "") -> LimitStatus:
        """Let no job start at a bucket ("stripe", or "tenant/t7") for `duration` seconds, see `Control.freeze`."""
        seconds = checked("duration", seconds_said("the duration of a freeze", duration), of=f"freeze of {bucket!r}")
        return await self._of_bucket(bucket, "/freeze", {"duration": seconds, "reason": reason})

    async def release(self, bucket: str) -> LimitStatus:
        """End a freeze before its time. Raises as `freeze`."""
        return await self._of_bucket(bucket, "/release", {})

    async def reset(self, bucket: str, reason: str = "") -> LimitStatus:
        """Forgive what was spent of a bucket, see `Control.reset`."""
        return await self._of_bucket(bucket, "/reset", {"reason": reason}, is_repeatable=False)

    async def show(self, name: str) -> LimitStatus:
        """One limit as it stands. Raises `UnknownLimit` naming the known ones."""
        return await self._change("GET", name, "", None)

    async def _of_bucket(self, bucket: str, verb: str, fields: dict[str, Any], *, is_repeatable: bool = True) -> LimitStatus:
        return await self._change("POST", bucket.partition("/")[0], verb, {"bucket": bucket, **fields}, is_repeatable=is_repeatable)

    async def _change(self, method: str, name: str, verb: str, fields: dict[str, Any] | None, *, is_repeatable: bool = True) -> LimitStatus:
        if not name:
            raise UnknownLimit("the name of a limit is empty: `limits list` shows those that there are")
        body = None if fields is None else _encoded(fields)
        call = Call(method, f"/v1/limits/{quote(name, safe='')}{verb}", body=body, is_repeatable=is_repeatable)
        return limit_status_of(json_of(await self._sessions.here.ask(call, instead=_ERRORS)))


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        return to_json(fields, inf_nan_mode="constants", fallback=repr)
    except ValueError as error:
        raise ConfigurationError(f"{fields!r:.200} cannot be sent: {error}") from None
