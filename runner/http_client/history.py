"""HttpRemembering: the verbs of a client that tell what happened, over HTTP."""

from datetime import datetime
from urllib.parse import quote

from runner.client import budget_pace, seconds_back
from runner.clock import MICROSECONDS, wall_us
from runner.http_client.documents import json_of, limit_status_of, series_of, spending_in
from runner.http_client.problems import REFUSED_QUESTION
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import BudgetPace, HistoryStep, Series, Spending, SpentBy, instant_text
from runner.limits import LimitStatus


class HttpRemembering:
    """A part of `HttpClient`."""

    @property
    def _session(self) -> HttpSession:
        raise NotImplementedError

    async def history(
        self,
        *series: str,
        step: HistoryStep | str = HistoryStep.minute,
        since: object = None,
        start: float | datetime | None = None,
        end: float | datetime | None = None,
    ) -> list[Series]:
        """What happened by minute, hour or day, see `Client.history`."""
        query: dict[str, str | int | float | list[str]] = {"step": str(step), "series": [*series]}
        if since is not None:
            query["since"] = f"{seconds_back('history', since)!r}"
        query |= {name: instant_text(f"{name} of the history", at) for name, at in (("from", start), ("to", end)) if at is not None}
        answer = await self._session.ask(Call("GET", "/v1/history", query), instead=REFUSED_QUESTION)
        return [series_of(document) for document in json_of(answer)["series"]]

    async def history_series(self) -> list[str]:
        """The names of the series there are."""
        names: list[str] = json_of(await self._session.ask(Call("GET", "/v1/history/series")))["series"]
        return names

    async def spent(self, limit: str, *, by: SpentBy | str = SpentBy.task, since: object = "30d") -> Spending:
        """What was spent of a budget by task, key or day, see `Client.spent`."""
        query: dict[str, str | int | float | list[str]] = {"by": str(by), "since": f"{seconds_back('spending', since)!r}"}
        answer = await self._session.ask(Call("GET", f"/v1/limits/{quote(limit, safe='')}/spent", query), instead=REFUSED_QUESTION)
        return spending_in(json_of(answer))

    async def budget(self, limit: str | LimitStatus) -> BudgetPace | None:
        """When a budget ends at the present pace, see `Client.budget`; by the clock of this machine."""
        if isinstance(limit, LimitStatus):
            status = limit
        else:
            status = limit_status_of(
                json_of(await self._session.ask(Call("GET", f"/v1/limits/{quote(limit, safe='')}"), instead=REFUSED_QUESTION))
            )
        return await budget_pace(status, wall_us() / MICROSECONDS, self.history)
