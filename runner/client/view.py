"""View: which jobs a caller sees, under which ids, and what of them. Everything that a restricted client tells of jobs goes through it."""

import json
from dataclasses import replace
from typing import Any

from runner.access import ANYONE, Principal, Scope
from runner.errors import Forbidden, UnknownJob
from runner.jobs import JobEvent, JobStatus, Within


class View:
    """The jobs of a tenant, and of the tasks that a key is for. In Redis the id of a tenant's job begins with the tenant and a slash.

    A job of others is told of as one that never was: the id that is asked leads to no job of another tenant, and the rest is one error.
    """

    def __init__(self, principal: Principal, queue: str) -> None:
        self._principal = principal
        self._queue = queue
        self._prefix = "" if principal.tenant is None else f"{principal.tenant}/"
        self.is_by_task = bool(principal.tasks)
        """Whether a job has to be looked at to know if it may be changed."""

    @property
    def within(self) -> Within:
        """The same for the scripts that look for jobs: what they are asked never finds others."""
        return Within(self._prefix, shared=self._principal.sees_tenants, tasks=tuple(self._principal.tasks))

    @property
    def owner(self) -> str:
        """Whose acts upon many jobs are those of the caller: of a tenant and its tasks. Empty: all of them."""
        return "" if self.sees_all else json.dumps([self._principal.tenant, sorted(self._principal.tasks)])

    @property
    def sees_all(self) -> bool:
        """Whether numbers of the whole queue are the caller's to see. Those of limits are, for who belongs to no tenant."""
        return self._principal.tenant is None and not self._principal.tasks

    def stored(self, job_id: str) -> str:
        """The id in Redis of the job that the caller means. Raises `UnknownJob` for one that no caller can have."""
        if "/" in job_id:
            raise self._unknown(job_id)
        return self._prefix + job_id

    def asked(self, job_id: str) -> str:
        """The same of a job that is asked about, or changed: of a tenant's too for who sees those. Raises `UnknownJob`."""
        return job_id if self._principal.sees_tenants else self.stored(job_id)

    def shown(self, stored_id: str) -> str:
        """The id of the caller's job that has this one in Redis."""
        return stored_id.removeprefix(self._prefix)

    def seen(self, status: JobStatus) -> JobStatus:
        """What the caller sees of a job. Raises `UnknownJob` for one of a task that is not theirs."""
        job_id = self.shown(status.id)
        if not self._principal.allows_task(status.task):
            raise self._unknown(job_id)
        hidden: dict[str, Any] = {} if self._principal.shows_args else {"args": None, "result": None, "result_bytes": None, "metadata": {}}
        if status.progress is not None and not self._principal.shows_args:
            hidden["progress"] = replace(status.progress, note="")
        if status.pause is not None and self._principal.tenant is not None:
            hidden["pause"] = replace(status.pause, by="")
        if Scope.jobs_debug not in self._principal.scopes:
            if status.error is not None and status.error.traceback:
                hidden["error"] = replace(status.error, traceback="")
            if status.attempts:
                hidden["attempts"] = tuple(replace(one, message="") for one in status.attempts)
        return replace(status, id=job_id, **hidden) if hidden or self._prefix else status

    def event(self, event: JobEvent) -> JobEvent | None:
        """What the caller sees of an event, None of one that is not theirs."""
        job_id = self.shown(event.job_id)
        is_one = self._principal.sees_tenants or "/" not in job_id
        is_own = event.job_id.startswith(self._prefix) and is_one and self._principal.allows_task(event.task)
        return replace(event, job_id=job_id) if is_own else None

    def check_task(self, task: str) -> None:
        """Raises `Forbidden` for a task that the caller may not submit."""
        if not self._principal.allows_task(task):
            raise Forbidden(f"{self._principal.label} may submit {', '.join(self._principal.tasks)} only, not {task!r:.80}")

    def check_batch(self, batch_id: str) -> None:
        """Raises `Forbidden` if there may be jobs in a batch that the caller may not change."""
        if self.is_by_task:
            tasks = ", ".join(self._principal.tasks)
            raise Forbidden(
                f"{self._principal.label} may change jobs of {tasks} only, and batch {batch_id!r} may have others: cancel its jobs by their ids"
            )

    def check_result(self) -> None:
        """Raises `Forbidden` if no results are shown to the caller."""
        if not self._principal.shows_args:
            raise Forbidden(f"{self._principal.label} sees no arguments and results")

    def _unknown(self, job_id: str) -> UnknownJob:
        return UnknownJob(f"no job {job_id!r} on queue {self._queue!r}: never submitted, or its result has expired")


class Everything(View):
    """The view of who has Redis: every job under its id there."""

    def __init__(self) -> None:
        super().__init__(ANYONE, "")

    @property
    def within(self) -> Within:
        """Every job."""
        return Within()

    def stored(self, job_id: str) -> str:
        """The id itself: of a tenant's job with the tenant."""
        return job_id

    def seen(self, status: JobStatus) -> JobStatus:
        """The job itself."""
        return status


EVERYTHING = Everything()
