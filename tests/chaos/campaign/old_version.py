"""The old version of the application: what it declares otherwise than the new one."""

from runner import Runner, TokenBucket
from tests.chaos.campaign.notes import Run

BOOKS = TokenBucket("books", rate="40/s", burst=20)
PARCELS = TokenBucket("parcels", rate="2/s", burst=2, key="{tenant}")
PAGES = TokenBucket("pages", rate="20/s", burst=10)


def declare(runner: Runner, run: Run) -> None:
    task = runner.task

    @task(limits=[BOOKS])
    async def charge(number: int) -> int:
        with run(number):
            return number

    @task(limits=[PARCELS])
    async def ship(number: int, tenant: str, region: str) -> int:
        with run(number):
            return number

    @task(limits=[PAGES])
    async def print_out(number: int) -> int:
        with run(number):
            return number

    @task(limits=[BOOKS])
    async def greet(number: int) -> int:
        with run(number):
            return number
