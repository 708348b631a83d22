"""HttpPauses: the pauses that `Pauses` makes, over HTTP."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from runner.client import InEachLoop, checked_reason, end_of, pausable
from runner.clock import MICROSECONDS
from runner.http_client.documents import json_of, pause_of
from runner.http_client.problems import REFUSED_QUESTION
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import PausableName, PauseStatus


class HttpPauses:
    """What is paused of a queue, as `Pauses` has it: the same methods, arguments and errors."""

    def __init__(self, sessions: InEachLoop[HttpSession]) -> None:
        self._sessions = sessions

    async def pause(
        self, what: PausableName, name: str = "", reason: str = "", *, duration: object = None, until: datetime | None = None
    ) -> PauseStatus:
        """Pause this until somebody resumes it, for `duration`, or until an instant, see `Pauses.pause`."""
        fields: dict[str, Any] = {"what": pausable(what, name).value, "name": name, "reason": checked_reason(reason)}
        end_us = end_of(duration, until)
        if until is not None:
            fields["until"] = until.isoformat()
        elif end_us:
            fields["duration"] = end_us / MICROSECONDS
        # Sent twice a duration would begin anew; nothing else is another one then.
        return pause_of(await self._ask(Call("POST", "/v1/pauses", body=to_json(fields), is_repeatable="duration" not in fields)))

    async def resume(self, what: PausableName, name: str = "") -> PauseStatus | None:
        """Let this go on, see `Pauses.resume`. None also if an answer was lost, and the request sent again."""
        kind = pausable(what, name)
        place = kind.value if not name else f"{kind.value}/{quote(name, safe='/')}"
        over = (await self._ask(Call("DELETE", f"/v1/pauses/{place}")))["resumed"]
        return None if over is None else pause_of(over)

    async def list(self) -> list[PauseStatus]:
        """Everything that is paused, the queue first."""
        return [pause_of(document) for document in (await self._ask(Call("GET", "/v1/pauses")))["pauses"]]

    async def _ask(self, call: Call) -> Any:
        return json_of(await self._sessions.here.ask(call, instead=REFUSED_QUESTION))
