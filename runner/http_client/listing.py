"""HttpListing: the verbs of a client about many jobs, over HTTP."""

from collections.abc import Mapping
from typing import Any

from runner.http_client.documents import group_of, job_counts_of, job_of, json_of
from runner.http_client.problems import REFUSED_QUESTION
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.jobs import EVERY_JOB, DeadLetterGroup, JobCounts, JobFilter, JobPage, instant_text
from runner.ranges import checked_whole

Query = Mapping[str, str | int | float | list[str]]
_TIMES = ("submitted_from", "submitted_to", "ended_from", "ended_to")


class HttpListing:
    """A part of `HttpClient`."""

    @property
    def _session(self) -> HttpSession:
        raise NotImplementedError

    async def jobs(self, filter: JobFilter | None = None, *, cursor: str | None = None, most: int = 100) -> JobPage:
        """The jobs that a filter asks for, a page at a time, see `Client.jobs`."""
        query = {**_query(filter), "most": checked_whole("jobs of a page", most, of="a list of jobs")}
        if cursor is not None:
            query["cursor"] = cursor
        document = await self._document("/v1/jobs", query)
        return JobPage(tuple(map(job_of, document["jobs"])), document["cursor"])

    async def job_counts(self, filter: JobFilter | None = None) -> JobCounts:
        """How many jobs there are, by state, see `Client.job_counts`."""
        return job_counts_of(await self._document("/v1/counts", _query(filter)))

    async def dead_letters(self, filter: JobFilter | None = None) -> list[DeadLetterGroup]:
        """Jobs that failed, by task and type of error, see `Client.dead_letters`."""
        return [group_of(document) for document in (await self._document("/v1/dead-letters", _query(filter)))["groups"]]

    async def _document(self, path: str, query: Query) -> Any:
        return json_of(await self._session.ask(Call("GET", path, query), instead=REFUSED_QUESTION))


def _query(filter: JobFilter | None) -> dict[str, str | int | float | list[str]]:
    given = (filter or EVERY_JOB).document()
    for name in _TIMES:
        at = getattr(filter, name, None)
        if at is not None:
            given[name] = instant_text(f"{name} of a filter of jobs", at)
    return {name: "true" if value is True else value for name, value in given.items()}
