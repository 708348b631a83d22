"""The new version of the application: a task more, a limit more, lower numbers, another key, another cost, an argument more."""

from runner import Concurrency, Limit, Runner, TokenBucket
from tests.chaos.campaign.notes import Run
from tests.chaos.campaign.old_version import PAGES

BOOKS = TokenBucket("books", rate="24/s", burst=6)
"""Refunds that waited for minutes for a worker start within one."""
FRAUD = TokenBucket("fraud", rate="8/s", burst=4)
PARCELS = TokenBucket("parcels", rate="2/s", burst=2, key="{region}")
REFUNDS = Concurrency("refunds", 4)
LIMITS: tuple[Limit, ...] = (BOOKS, FRAUD, PARCELS, PAGES, REFUNDS)


def declare(runner: Runner, run: Run) -> None:
    task = runner.task

    @task(limits=[BOOKS, FRAUD])
    async def charge(number: int) -> int:
        with run(number):
            return number

    @task(limits=[PARCELS])
    async def ship(number: int, tenant: str, region: str) -> int:
        with run(number):
            return number

    @task(limits=[PAGES], cost={"pages": 2})
    async def print_out(number: int) -> int:
        with run(number):
            return number

    @task(limits=[BOOKS])
    async def greet(number: int, note: str = "") -> int:
        with run(number):
            return number

    @task(limits=[BOOKS, REFUNDS])
    async def refund(number: int) -> int:
        with run(number):
            return number
