"""What was spent of a budget, over HTTP."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from runner import BudgetPace, SpentBy
from runner import Spending as SpendingOfLimit


class SpentRow(BaseModel):
    """What one task, key or day has spent."""

    name: Annotated[
        str | None, Field(description="null: code without a job; keys beyond the thousand that have a count of their own in a day")
    ]
    tokens: Annotated[int, Field(description="whole numbers of the smallest part of the unit")]
    days: Annotated[dict[date, int], Field(description="the part of each day")]


class Budget(BaseModel):
    """When a budget ends if as much is spent of it as lately. A token is the 10^`scale`-th part of one `unit`."""

    limit: str
    unit: str
    scale: int
    left: int
    capacity: int
    pace_s: Annotated[float, Field(description="tokens a second")]
    ends_at: Annotated[datetime | None, Field(description="null: not before the period ends")]
    period_ends: datetime
    share_at_end: Annotated[float, Field(description="the part that is spent by then; above 1: more than there is")]
    says: Annotated[str, Field(description="the same in words")]

    @classmethod
    def of(cls, pace: BudgetPace) -> Self:
        return cls.model_validate({**pace.document(), "says": f"{pace.spent_words}: {pace}"})


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
