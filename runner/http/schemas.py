"""Jobs and tasks over HTTP as pydantic models, from which OpenAPI is made: every answer."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from runner import Pausable, PauseStatus, State, TaskSpec, TaskStatus
from runner.http.instants import utc
from runner.http.validation_errors import Fault


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 describes it. `type` is the path of a short text for people."""

    type: Annotated[str, Field(examples=["/problems/unknown-task"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="what is wrong with this request, with the value, and what to do")]
    errors: list[Fault] = Field(default_factory=list, description="what is wrong where, if the place is known")


class Place(BaseModel):
    """The state of a job, and for a waiting one what it waits for, its place in line and when it can start."""

    state: Annotated[State | None, Field(description="null: stored, but Redis could not be asked for more just now")]
    reason: Annotated[
        str | None,
        Field(description="why a waiting or scheduled job does not start yet; stopping: a running one should stop, and has not yet"),
    ] = None
    limit: Annotated[str | None, Field(description="the limit a waiting job waits for")] = None
    bucket: Annotated[str | None, Field(description="its bucket of that limit, like tenant/t7")] = None
    position: Annotated[int | None, Field(description="place of a waiting job in its line, 1 is next")] = None
    eta_s: Annotated[float | None, Field(description="seconds until it can start, if all jobs ahead of it start on time")] = None
    end_eta_s: Annotated[
        float | None,
        Field(
            description="seconds until it ends, if it then runs as long as half of the runs of its task in the last 24 hours; null: unknown"
        ),
    ] = None


class QueuePace(BaseModel):
    """At what pace this queue gets tokens of a limit that several queues share: an estimate, by which `eta_s` is one too."""

    queues: Annotated[int, Field(description="how many share it just now")]
    per_second: Annotated[float | None, Field(description="tokens, by what came lately or as an equal part; null: that cannot be told")]
    silent_s: Annotated[float, Field(description="for so long jobs have waited and the limit's home has not answered")]


class AcceptedJob(Place):
    """A job that is stored. Of a unique one it may be another job, that is there."""

    id: str
    task: str
    created: Annotated[bool, Field(description="false: this job had been submitted before, or another is there that is unique")] = True
    replaced: Annotated[bool, Field(description="the unique job that waits has the arguments of this request now")] = False


class BatchItem(Place):
    """One job of a batch: stored, or with the problem that prevented it."""

    id: str
    task: str
    created: bool = True
    replaced: bool = False
    problem: ProblemDocument | None = None


class AcceptedBatch(BaseModel):
    """The jobs of a batch, in its order."""

    jobs: list[BatchItem]


class Attempt(BaseModel):
    """A failed attempt."""

    attempt: int
    started_at: datetime
    ran_s: float
    worker: str
    type: Annotated[str, Field(description="of the error; WorkerLost: its worker died, or was cut off")]
    message: Annotated[str, Field(description="the first 120 characters; empty without the right jobs:debug")]


class JobProgress(BaseModel):
    """How far the latest attempt is, as its handler has said it."""

    done: float
    total: Annotated[float | None, Field(description="null: unknown")]
    note: str
    at: datetime


class PauseNow(BaseModel):
    """What is paused: nothing of it starts. Times are UTC by Redis's clock."""

    what: Annotated[Pausable, Field(description="queue, task, pool or key")]
    name: Annotated[str, Field(description="of the task or the pool; of a key its bucket, like tenant/t7; empty of the queue")]
    by: Annotated[str, Field(description="who did it; empty for a tenant")]
    reason: str
    since_at: datetime
    until_at: Annotated[datetime | None, Field(description="when it is over by itself; null: when it is resumed")]
    unaware_workers: Annotated[int, Field(description="in the answer to a pause: live workers of versions that do not know of pauses")] = 0

    @classmethod
    def of(cls, pause: PauseStatus) -> Self:
        return cls(**pause_document(pause))


def pause_document(pause: PauseStatus) -> dict[str, Any]:
    """As `PauseNow` describes it."""
    return pause.document() | {"since_at": utc(pause.since_at), "until_at": utc(pause.until_at)}


class StoryEvent(BaseModel):
    """Something that happened to a job."""

    at: datetime
    what: Annotated[str, Field(description="submitted, running, failed or throttled (an attempt), or the state in which the job ended")]
    text: str
    detail: str | None


class StorySpan(BaseModel):
    """A piece of a job's life. Pieces follow each other without a gap, but for what is shorter than a millisecond."""

    what: Annotated[
        str,
        Field(
            description="scheduled: before it was due; waiting; running; failed and throttled: an attempt that ended so; unknown: nothing is kept of it"
        ),
    ]
    begin: Annotated[datetime, Field(alias="from")]
    to: Annotated[datetime | None, Field(description="null: it lasts still")]
    text: str
    attempt: int | None
    worker: str | None
    bucket: Annotated[str | None, Field(description="of the wait that lasts still: at which bucket")]


class Story(BaseModel):
    """A job's life, from its submission on, as far as it is kept: of failed attempts the first and the last nine."""

    events: list[StoryEvent]
    spans: list[StorySpan]


class ForeseenJob(Place):
    """What would become of a job that is submitted now. Nothing is stored."""

    id: Annotated[str, Field(description="the job that is there already; empty: it would be a new one")]
    task: str
    created: Annotated[bool, Field(description="whether a job would be stored")]
    state: Annotated[str, Field(description="what its submission would be answered: its first state, or existing, or replaced")]  # type: ignore[assignment]
    earliest_s: Annotated[float, Field(description="seconds before which it does not start, as long as the limits stay as they are")]
    run_s: Annotated[float | None, Field(description="seconds that half of the runs of its task took at most, in the last 24 hours")]
    pause: Annotated[PauseNow | None, Field(description="what is paused and would keep it from starting")] = None
    shared: Annotated[QueuePace | None, Field(description="of a job of a limit that several queues share")] = None


class ForeseenItem(ForeseenJob):
    """What would become of one job of a batch, or the problem that its submission would have."""

    state: Annotated[str | None, Field(description="as of ForeseenJob; null: it would be refused")]  # type: ignore[assignment]
    problem: ProblemDocument | None = None


class ForeseenBatch(BaseModel):
    """What would become of jobs that are submitted now, together: each comes behind those before it. Nothing is stored."""

    created: Annotated[int, Field(description="how many jobs would be stored")]
    eta_s: Annotated[float | None, Field(description="seconds until the last of those starts; null: unknown of one of them")]
    end_eta_s: Annotated[float | None, Field(description="seconds until the last of those has ended; null: unknown of one of them")]
    jobs: list[ForeseenItem]


class Job(Place):
    """A job as it is now. Times are UTC by Redis's clock; null: not yet."""

    id: str
    task: str
    state: State
    shared: Annotated[QueuePace | None, Field(description="of a job that waits for a limit that several queues share")] = None
    priority: str
    pool: Annotated[str, Field(description="whose workers run it")]
    worker: Annotated[str | None, Field(description="that runs it, or ran its latest attempt")] = None
    costs: Annotated[dict[str, int], Field(description="tokens that it takes at its start, by bucket")] = {}
    attempt: Annotated[int, Field(description="number of its starts")]
    failures: int
    crashes: Annotated[int, Field(description="workers that were lost while they ran it")]
    throttled: Annotated[int, Field(description="attempts that the provider told to wait; they do not count as failures")]
    cancel_requested: Annotated[bool, Field(description="it is running and has been asked to stop")]
    submitted_at: datetime | None
    ready_at: Annotated[
        datetime | None, Field(description="since when it waits, or waited for its latest attempt; null: since submitted_at")
    ] = None
    started_at: datetime | None
    finished_at: datetime | None
    args: Any
    result: Any
    result_bytes: Annotated[int | None, Field(description="size of the result as JSON, also of one that is left out")] = None
    error: dict[str, Any] | None
    attempts: Annotated[list[Attempt], Field(description="those that failed: the first and the last nine")]
    progress: Annotated[JobProgress | None, Field(description="what its handler has said last of its progress")]
    pause: Annotated[PauseNow | None, Field(description="what is paused and keeps it from starting")] = None
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict, description="empty for a key that sees no arguments")
    trace_id: str | None = Field(default=None, description="the trace in which it was submitted, if a span was recorded")
    deadline_at: Annotated[datetime | None, Field(description="when it ends at the latest")]
    explanation: Annotated[list[str] | None, Field(description="with explain=1: why it is where it is, and what to do, in sentences")] = (
        None
    )
    story: Annotated[Story | None, Field(description="with story=1: its life as pieces of time and as what happened")] = None
    problem: Annotated[ProblemDocument | None, Field(description="of a result that is left out here, as it is too large")] = None


class DeletedJob(BaseModel):
    """A job that is forgotten."""

    id: str
    deleted: Annotated[bool, Field(description="true")]


class EndedJob(Job):
    """A job that has ended while its submission waited for that."""

    created: Annotated[bool, Field(description="false: this job had been submitted before")]


class Task(BaseModel):
    """A task that can be submitted."""

    name: str
    description: str
    parameters: Annotated[dict[str, Any], Field(description="JSON schema of args")]
    limits: list[str]
    cost: Annotated[dict[str, int | str], Field(description="tokens by limit name: a number, or the argument that holds it; default 1")]
    priority: str
    pool: Annotated[str, Field(description="whose workers run its jobs")] = "default"
    fair_by: Annotated[str | None, Field(description="whose jobs take turns in a line, like {tenant_id}")] = None
    max_wait: Annotated[float | None, Field(description="seconds after which a job that has not started expires")] = None
    deadline: Annotated[float | None, Field(description="seconds after its submission at which a job ends at the latest")] = None
    on_expiry: Annotated[str, Field(description="what becomes of it then: expire or fail")] = "expire"
    keep: Annotated[
        dict[str, float],
        Field(description="seconds for which jobs are kept that failed, were cancelled or expired, where the task says so"),
    ] = {}
    unique: Annotated[dict[str, Any] | None, Field(description="which of its jobs are alike, so that one at most is there at a time")] = (
        None
    )
    by_code_only: Annotated[list[str], Field(description="why it cannot be submitted by name: what only its code can work out")] = []
    served: Annotated[bool, Field(description="a live worker runs it; else its jobs are accepted and wait for one")]
    served_until: Annotated[datetime | None, Field(description="when the last worker of it ended; null: unknown, or one lives")] = None
    held: Annotated[int, Field(description="jobs that wait because the workers that met them could not run them")] = 0
    fault: Annotated[str | None, Field(description="why it cannot be submitted by name: its entry in the catalog is damaged")] = None

    @classmethod
    def of(cls, task: TaskStatus) -> Self:
        spec = task.spec or TaskSpec(task.name, {})
        return cls(
            name=task.name,
            description=spec.description,
            parameters=spec.parameters,
            limits=list(spec.limits),
            cost=spec.cost,
            priority=spec.priority,
            pool=spec.pool,
            fair_by=spec.fair_by,
            max_wait=spec.max_wait,
            deadline=spec.deadline,
            on_expiry=spec.on_expiry,
            keep={state: kept_ms / 1_000 for state, kept_ms in spec.keep.items()},
            unique=spec.unique,
            by_code_only=list(spec.by_code_only),
            served=task.served,
            served_until=utc(task.served_until),
            held=task.held,
            fault=task.fault,
        )


class Tasks(BaseModel):
    """Every task of the queue."""

    tasks: list[Task]


class Health(BaseModel):
    """All is well. Anything else is a problem document."""

    status: Literal["ok"] = "ok"
