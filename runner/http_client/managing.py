"""HttpManaging: the verbs of a client for who looks after a queue, over HTTP: acts upon many jobs, and the audit."""

from runner.access import AuditLine
from runner.client import InEachLoop, seconds_back
from runner.http_client.bulk import HttpBulks
from runner.http_client.documents import audit_line_of, json_of
from runner.http_client.listing import HttpListing
from runner.http_client.problems import REFUSED_QUESTION
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.ranges import checked_whole


class HttpManaging(HttpListing):
    """A part of `HttpClient`."""

    _sessions: InEachLoop[HttpSession]

    @property
    def bulk(self) -> HttpBulks:
        """Cancel, retry, delete or purge all jobs that a filter asks for."""
        return HttpBulks(self._sessions)

    async def audit(self, *, since: object = None, after: str = "", most: int = 1_000, target: str = "") -> list[AuditLine]:
        """Who changed what, see `Client.audit`."""
        query: dict[str, str | int | float | list[str]] = {"most": checked_whole("most", most, of="audit")}
        if after:
            query["after"] = after
        if target:
            query["target"] = target
        if since is not None:
            query["since"] = f"{seconds_back('audit', since)!r}"
        answer = await self._session.ask(Call("GET", "/v1/audit", query), instead=REFUSED_QUESTION)
        return [audit_line_of(document) for document in json_of(answer)["lines"]]
