"""A producer's tasks, up to just before its first connection: what a web app imports while it starts."""

from runner import Runner, TokenBucket

jobs = Runner("imports")


@jobs.task(limits=[TokenBucket("api", rate="10/s", burst=20)])
async def charge(order: str, cents: int = 0) -> str:
    return f"{order}: {cents}"
