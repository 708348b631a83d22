"""What was spent of a budget, over HTTP."""

from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, Field

from runner import Spending as SpendingOfLimit
from runner import SpentBy


class SpentRow(BaseModel):
    """What one task, key or day has spent."""

    name: Annotated[
        str | None, Field(description="null: code without a job; keys beyond the thousand that have a count of their own in a day")
    ]
    tokens: Annotated[int, Field(description="whole numbers of the smallest part of the unit")]
    days: Annotated[dict[date, int], Field(description="the part of each day")]


class Spending(BaseModel):
    """What was spent of a budget from one day to another, both of UTC. A token is the 10^`scale`-th part of one `unit`."""

    limit: str
    unit: str
    scale: int
    by: SpentBy
    first: date
    last: date
    total: int
    rows: Annotated[list[SpentRow], Field(description="by day in their order, others the largest first")]

    @classmethod
    def of(cls, spending: SpendingOfLimit) -> Self:
        return cls.model_validate(spending.document())
