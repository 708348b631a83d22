"""HttpRemembering: the verbs of a client that tell what happened, over HTTP."""

from datetime import datetime

from runner.client import seconds_back
from runner.http_client.documents import json_of, series_of
from runner.http_client.problems import REFUSED_QUESTION
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import HistoryStep, Series, instant_text


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
