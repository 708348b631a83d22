"""A shop whose queue is never empty: lines at limits of every kind, one of them shut, failures, schedules, a batch. To look at the dashboard with.

    RUNNER_REDIS_URL=redis://localhost:6379/0 RUNNER_APP=examples.busy_shop:jobs python -m runner worker
    RUNNER_REDIS_URL=redis://localhost:6379/0 RUNNER_APP=examples.busy_shop:jobs python -m runner api
    RUNNER_REDIS_URL=redis://localhost:6379/0 python -m examples.busy_shop

and then http://localhost:8000/ui/. The third command submits jobs until it is stopped; nothing is called, the tasks only sleep.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from runner import Concurrency, Quota, RateLimited, Runner, SlidingWindow, Submission, TokenBucket, current_job

jobs = Runner("shop")

stripe = TokenBucket("stripe", rate="10/s", burst=20)
openai_tokens = TokenBucket("openai-tokens", rate="90000/min", burst=30_000)
openai_requests = TokenBucket("openai-requests", rate="500/min", burst=50)
tenant = TokenBucket("tenant", rate="100/min", burst=100, key="{tenant_id}")
mailgun = TokenBucket("mailgun", rate="5/s", burst=50)
legacy = TokenBucket("legacy", rate="2/s", burst=4)
search = SlidingWindow("search", 60, per=60)
reports = Concurrency("reports", 3, key="{customer_id}")
lookups = Quota("lookups", 10_000, per="month", tz="Europe/Berlin")
sms = TokenBucket("sms", rate="1/s", burst=1, key="{sender}")


class CardDeclined(Exception):
    """The bank refused the charge."""


@jobs.task(limits=[stripe], dont_retry_on=[CardDeclined])
async def charge(order_id: str, amount: int = 4_200) -> dict[str, Any]:
    """Charge an order."""
    await asyncio.sleep(random.uniform(0.1, 0.5))
    if amount == 0:
        raise CardDeclined("do_not_honor: the bank refused the charge")
    return {"order": order_id, "amount": amount, "currency": "EUR"}


@jobs.task(limits=[openai_tokens, openai_requests], cost={"openai-tokens": "tokens"}, retries=0)
async def summarise(text: str, tokens: int) -> str:
    """Summarise a text."""
    await asyncio.sleep(random.uniform(1, 3))
    if tokens == 13:
        raise TimeoutError("no answer from the model within 30 s")
    return text[:10]


@jobs.task(limits=[tenant])
async def sync_tenant(tenant_id: str) -> None:
    """Fetch what a tenant has changed."""
    await asyncio.sleep(0.3)


@jobs.task(limits=[mailgun])
async def send_receipt(order_id: str) -> None:
    """Send a receipt; the provider says now and then that it has had enough."""
    if random.random() < 0.01:
        raise RateLimited(retry_after=20)
    await asyncio.sleep(0.1)


@jobs.task(limits=[legacy])
async def import_invoice(number: int) -> None:
    """Import an invoice."""
    await asyncio.sleep(0.4)


@jobs.task(limits=[search, lookups])
async def look_up(words: str) -> int:
    """Look words up."""
    await asyncio.sleep(0.2)
    return len(words)


@jobs.task(limits=[reports])
async def monthly_report(customer_id: str) -> None:
    """Write a report, and say how far it is."""
    for page in range(40):
        current_job().progress(page + 1, 40, note="pages")
        await asyncio.sleep(1)


@jobs.task(limits=[sms])
async def send_code(sender: str) -> None:
    """Send a code by SMS."""
    await asyncio.sleep(0.2)


@jobs.cron("*/5 * * * *")
@jobs.task
async def reconcile() -> None:
    """Compare payouts."""
    await asyncio.sleep(random.uniform(1, 4))


@jobs.every(30)
@jobs.task
async def renew_tokens() -> None:
    """Renew the tokens of all shops."""
    await asyncio.sleep(random.uniform(0.1, 0.4))


@jobs.cron("30 2 * * *", tz="Europe/Berlin", name="nightly-export")
@jobs.task
async def export() -> None:
    """Write the export of the day."""
    await asyncio.sleep(5)


async def prepare_the_scene() -> None:
    """Lines, a pause, numbers set by an operator, failures, delayed jobs and a batch: what there is to see from the first second on."""
    await jobs.client.control.pause("legacy", reason="migration to the new merchant account")
    await jobs.client.control.override("openai-tokens", rate="120000/min", duration=7_200, reason="tier 3 agreed with OpenAI")
    await jobs.submit_many([import_invoice.prepare(number) for number in range(42)])
    await jobs.submit_many([charge.prepare(f"o-{n}", amount=4_200 if n % 25 else 0) for n in range(600)])
    await jobs.submit_many([summarise.prepare("a text", tokens=random.randint(24, 160) * 10 if n % 30 else 13) for n in range(300)])
    await jobs.submit_many([sync_tenant.prepare(f"t{(7, 7, 19, n % 40)[n % 4]}") for n in range(700)])
    await jobs.submit_many([monthly_report.prepare(("c4", "c11")[n % 2]) for n in range(14)])
    await jobs.submit_many([send_receipt.with_options(delay=600 + n).prepare(f"o-{n}") for n in range(40)])
    async with jobs.batch("import-17", then=look_up.prepare("import-17")) as batch:
        for number in range(120):
            batch.add(
                charge.prepare(f"b-{number}", amount=0 if number % 40 == 1 else 900) if number % 3 else import_invoice.prepare(number)
            )


def each_second(second: int) -> Iterator[Submission[Any]]:
    """What a second brings: a little more than some limits let through, and less than others."""
    yield from (charge.prepare(f"s-{second}-{n}") for n in range(random.randint(6, 13)))
    yield from (summarise.prepare("a text", tokens=random.randint(24, 160) * 10) for _ in range(3))
    yield from (sync_tenant.prepare(f"t{random.choice((7, 7, 19, 3, 4, 5))}") for _ in range(4))
    yield from (send_receipt.prepare(f"s-{second}-{n}") for n in range(3))
    yield look_up.prepare("a word")
    if second % 20 == 0:
        yield monthly_report.prepare("c4")
        yield send_code.prepare("+49 30 5510")


async def main() -> None:
    """Submit until it is stopped."""
    await prepare_the_scene()
    second = 0
    while True:
        await jobs.submit_many(list(each_second(second)))
        await asyncio.sleep(1)
        second += 1


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
