"""The app that programs of other people call over HTTP: tasks of every kind of argument, limits of every kind, and ends of every kind."""

import asyncio
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from runner import Concurrency, Quota, Runner, SlidingWindow, TokenBucket

jobs = Runner("outside")

stripe = TokenBucket("stripe", rate="50/s", burst=20)
tenant = TokenBucket("tenant", rate="100/min", key="{tenant_id}")
search = SlidingWindow("search", 60, per=60)
reports = Concurrency("reports", 3, key="{customer}")
lookups = Quota("lookups", 10_000, per="day")


class Order(BaseModel):
    """What is bought."""

    sku: str = Field(min_length=1, max_length=20)
    count: int = Field(default=1, ge=1, le=1_000)
    gift: bool = False


@jobs.task
async def add(left: int, right: int = 1) -> int:
    """Add two numbers."""
    return left + right


@jobs.task(limits=[stripe, tenant], cost={"stripe": "tokens"})
async def charge(order: Order, tenant_id: str, tokens: int = 1, due: datetime | None = None) -> Order:
    """Charge an order."""
    return order


@jobs.task(limits=[search, lookups])
async def find(words: list[str], kind: Literal["any", "all"] = "any") -> int:
    """Find what has these words."""
    return len(words)


@jobs.task(limits=[reports])
async def report(customer: str, seconds: float = 0.01) -> str:
    """Write a report, which takes some time."""
    await asyncio.sleep(min(max(seconds, 0.0), 1.0))
    return customer


@jobs.task(retries=0)
async def broken(text: str) -> None:
    """Fail."""
    raise ValueError(text)
