"""The tasks of the shop."""

import asyncio

from runner import Runner, TokenBucket, current_job

jobs = Runner("shop")


@jobs.task(limits=[TokenBucket("provider", rate="10/min", burst=10)])
async def charge(order: str) -> str:
    return f"paid {order}"


@jobs.task(unique="{month}")
async def write_report(month: str, pages: int = 10) -> int:
    """One at a time of each month; it says how far it is."""
    for page in range(pages):
        current_job().progress(page, pages, note=f"page {page + 1}")
        await asyncio.sleep(1)
    return pages
