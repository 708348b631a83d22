"""What a caller sends to submit jobs, as pydantic models, from which OpenAPI is made."""

from typing import Annotated, Any, Literal

from pydantic import Field

from runner import JobOptions, JobRequest
from runner.http.bodies import WHOLE, Body
from runner.http.forms import COST, DEADLINE_S, DELAY_S, JOB_ID, MAX_WAIT_S, METADATA, MOST_METADATA, MOST_TAGS, POOL, TAG
from runner.http.instants import AnyInstant
from runner.http.unique_body import UniqueBody, asked_of

MOST_AFTER = 10_000
"""Most jobs that one can come after."""
MAX_BATCH = 1000
"""Most jobs of one batch."""

JOB_PROBLEMS = (
    "arguments-too-large",
    "invalid-id",
    "unknown-task",
    "unknown-limit",
    "exceeds-capacity",
    "run-at-out-of-range",
    "deadline-out-of-reach",
    "id-conflict",
    "duplicate-job",
    "batch-not-open",
    "incomplete-catalog",
)
"""What can be wrong with a job that is to be stored, beside its parents."""


class JobBody(Body):
    """One job to submit."""

    task: Annotated[str, Field(description="name of a task; GET /v1/tasks lists them")]
    args: dict[str, Any] = Field(default_factory=dict, description="arguments by name; checked against the task's parameters")
    id: Annotated[Annotated[str, Field(**JOB_ID)] | None, Field(description="an id of your own makes it safe to repeat the request")] = None
    priority: Annotated[Literal["high", "normal", "low"] | None, Field(description="default: the task's")] = None
    delay: Annotated[
        Annotated[float, Field(**DELAY_S)] | None, Field(description="seconds before the job may start; not together with run_at")
    ] = None
    run_at: Annotated[
        AnyInstant | None,
        Field(description="instant before which the job does not start, with a time zone, at most 366 days ahead"),
    ] = None
    max_wait: Annotated[
        Annotated[float, Field(**MAX_WAIT_S)] | None,
        Field(description="seconds after which the job expires if it has not started; default: the task's"),
    ] = None
    deadline: Annotated[
        Annotated[float, Field(**DEADLINE_S)] | None,
        Field(
            description="seconds from its submission over waits, attempts and retries; default: the task's. A job that surely cannot start before it is refused"
        ),
    ] = None
    cost: Annotated[
        dict[str, Annotated[int, Field(**COST), WHOLE]] | None, Field(description="tokens to take by limit name; default: the task's")
    ] = None

    pool: Annotated[Annotated[str, Field(**POOL)] | None, Field(description="whose workers run it; default: the task's")] = None
    unique: Annotated[
        bool | UniqueBody | None,
        Field(description="one job at a time of those that are alike; false: each is one of its own; default: the task's"),
    ] = None
    tags: Annotated[list[Annotated[str, Field(**TAG)]] | None, Field(max_length=MOST_TAGS, description="words by which jobs are found")] = (
        None
    )
    metadata: Annotated[
        Annotated[dict[str, Any], Field(**METADATA)] | None,
        Field(description=f"what travels with it besides its arguments; at most {MOST_METADATA} bytes of JSON"),
    ] = None
    after: Annotated[
        Annotated[list[Annotated[str, Field(**JOB_ID)]], Field(min_length=1, max_length=MOST_AFTER)] | None,
        Field(description="ids of jobs that have to end before it starts"),
    ] = None
    on_failure: Annotated[
        Literal["cancel", "fail", "run"] | None,
        Field(description="what becomes of it when one of those does not succeed; default: cancel"),
    ] = None

    batch: Annotated[
        Annotated[str, Field(**JOB_ID)] | None, Field(description="the batch that it joins, which is open: POST /v1/batches begins one")
    ] = None

    def request(self) -> JobRequest:
        """The job as the client takes it."""
        unique = asked_of(self.unique)
        waits, place = (self.priority, self.delay, self.run_at, self.cost, self.max_wait, self.deadline), (self.pool, unique)
        options = JobOptions(self.id, *waits, *place, self.tags, self.metadata, self.after, self.on_failure, self.batch)
        return JobRequest(self.task, self.args, options)


class NewBatchBody(Body):
    """A batch to begin."""

    id: Annotated[Annotated[str, Field(**JOB_ID)] | None, Field(description="an id of your own makes it safe to repeat the request")] = None
    then: Annotated[JobBody | None, Field(description="a job that runs once all jobs of the batch have ended")] = None
    on_failure: Annotated[
        Literal["cancel", "fail", "run"], Field(description="what becomes of that job when one of the batch does not succeed")
    ] = "run"
    size: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None,
        Field(description="how many jobs are coming, if that is known; more than there is room for are refused before the first"),
    ] = None


class BatchBody(Body):
    """Many jobs to submit at once."""

    jobs: Annotated[list[JobBody], Field(min_length=1, max_length=MAX_BATCH)]
