"""Lines and their buckets over HTTP: pydantic models, from which OpenAPI is made."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from runner import WaitingBuckets, WaitingLine
from runner.http.instants import utc


class JobInLine(BaseModel):
    """A job that waits. id, task and key are null if they are not for this key to see."""

    place: Annotated[int, Field(description="1 is next")]
    id: str | None
    task: str | None
    key: Annotated[str | None, Field(description="of a limit with a key: its value")]
    cost: Annotated[int, Field(description="tokens of this bucket")]
    priority: str
    waited_s: float | None
    eta_s: Annotated[float | None, Field(description="seconds until it starts, as things stand; null: unknown")]


class Line(BaseModel):
    """Who waits at a bucket, in the order in which they are served."""

    at: datetime
    bucket: str
    total: Annotated[int, Field(description="jobs that wait there")]
    total_is_estimate: bool
    next: Annotated[int | None, Field(description="the place after which to go on; null: no more are told")]
    jobs: list[JobInLine]

    @classmethod
    def of(cls, line: WaitingLine) -> Self:
        return cls.model_validate(line_document(line))


def line_document(line: WaitingLine) -> dict[str, Any]:
    """A line as JSON."""
    return {**asdict(line), "at": utc(line.at)}


class BucketInUse(BaseModel):
    """A bucket at which jobs wait."""

    bucket: str
    key: str | None
    tokens: Annotated[int, Field(description="whole tokens that could be taken now")]
    waiting: int
    waiting_is_estimate: bool
    next_token_s: float | None
    oldest_wait_s: Annotated[float | None, Field(description="of the first jobs of each priority")]
    clears_in_s: Annotated[float | None, Field(description="until the last of its line has started, as things stand; null: unknown")]
    frozen_s: float
    frozen_by: str | None


class BucketPage(BaseModel):
    """Buckets of a limit at which jobs wait."""

    at: datetime
    total: Annotated[int, Field(description="of all keys")]
    matched: Annotated[int, Field(description="those whose key begins as was asked")]
    next: Annotated[str | None, Field(description="the cursor of the next page, by name; null: there is none")]
    buckets: list[BucketInUse]

    @classmethod
    def of(cls, page: WaitingBuckets) -> Self:
        return cls.model_validate({**asdict(page), "at": utc(page.at)})
