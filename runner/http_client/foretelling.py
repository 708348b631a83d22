"""Foretelling over HTTP: the verbs of a client that say what would become of jobs, and store nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.client import JobRequest
from runner.http_client.documents import foresight_of, json_of
from runner.http_client.session import HttpSession
from runner.http_client.submissions import all_prepared, batch_body, batch_foresight_of, one_batch, prepared
from runner.http_client.transport import Call
from runner.jobs import BatchForesight, Foresight, JobOptions


class HttpForetelling:
    """A part of `HttpClient`."""

    @property
    def _session(self) -> HttpSession:
        raise NotImplementedError

    async def foresee(self, task: str, args: Mapping[str, Any], options: JobOptions | None = None) -> Foresight:
        """What would become of a job that is submitted now, see `Client.foresee`. Raises what `submit` would; nothing is stored."""
        job = prepared(task, args, options or JobOptions())
        return foresight_of(json_of(await self._session.ask(Call("POST", "/v1/jobs", {"dry_run": 1}, body=job.body))))

    async def foresee_many(self, requests: Sequence[JobRequest], *, return_conflicts: bool = False) -> BatchForesight:
        """What would become of jobs that are submitted now, together, see `Client.foresee_many`. Up to a thousand, in one request.

        Raises what `submit_many` would, and `InvalidOption` for more.
        """
        jobs = all_prepared(requests)
        if not jobs:
            return BatchForesight(())
        answer = json_of(await self._session.ask(Call("POST", "/v1/jobs/batch", {"dry_run": 1}, body=batch_body(one_batch(jobs)))))
        return batch_foresight_of(answer["jobs"], jobs, requests, return_conflicts=return_conflicts)
