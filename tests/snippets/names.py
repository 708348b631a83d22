"""What a page leaves to its reader, like the provider that is called or the tasks of an app: what each name is while the page is run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from runner import Client, Concurrency, JobFilter, Runner, TokenBucket, current_job

Names = dict[str, Any]


class Gateway:
    """Sends messages, and says under which id."""

    id = "m-1"
    status_code = 200

    async def send(self, sender: str, recipient: str, text: str) -> "Gateway":
        return self


def operator() -> Names:
    """What a page for operators begins with: a client, and the tasks of the shop."""
    from shop.tasks import charge, jobs  # type: ignore[import-not-found]  # noqa: PLC0415 - it is there while a page is run

    jobs.limit(Concurrency("reports", 3, key="{customer_id}"))
    return {"client": jobs.client, "charge": charge, "JobFilter": JobFilter, "jobs": jobs}


def flows() -> Names:
    jobs = Runner("flows")

    @jobs.task
    async def fetch(url: str) -> str:
        return url

    @jobs.task
    async def parse_first(url: str) -> list[str]:
        return [url]

    @jobs.task
    async def store(url: str) -> None: ...

    @jobs.task
    async def load(row: int) -> None: ...

    @jobs.task
    async def report(day: str) -> None: ...

    @dataclass
    class Page:
        links: list[str]

    names = {"jobs": jobs, "fetch": fetch, "parse": parse_first, "store": store, "load": load, "report": report, "Page": Page}
    return names | {
        "client": jobs.client,
        "current_job": current_job,
        "url": "https://example.com/",
        "day": "2026-11-30",
        "rows": range(3),
        "other": fetch.blocking.submit("other").id,
    }


def limits() -> Names:
    async def call_the_model(prompt: str) -> Any:
        raise NotImplementedError  # no job of this page is submitted

    pay = TokenBucket("pay", rate="100/s")
    return {"call_the_model": call_the_model, "pay": pay}


def receipts() -> Names:
    @dataclass
    class Receipt:
        number: str

    jobs = Runner("shop")

    @jobs.task
    async def charge(order_id: str, tenant_id: str) -> Receipt:
        return Receipt(order_id)

    charge.definition.function.__globals__["Receipt"] = Receipt
    return {"jobs": jobs, "charge": charge, "Receipt": Receipt, "Client": Client}


NAMES: dict[str, Callable[[], Names]] = {
    "bulk.md": operator,
    "flows.md": flows,
    "limits.md": limits,
    "listing.md": operator,
    "middleware.md": lambda: {"app": FastAPI()},
    "pauses.md": operator,
    "plain-code.md": operator,
    "sms.md": lambda: {"gateway": Gateway()},
    "types.md": receipts,
}
ELSEWHERE = {
    "dependencies.md": "tests/unit/test_pages_on_handlers.py",
    "http-client.md": "tests/http/test_http_client.py",
    "lifespan.md": "tests/unit/test_pages_on_handlers.py",
    "logging.md": "tests/unit/test_log_format.py",
    "progress.md": "tests/worker/test_progress.py",
    "results.md": "tests/worker/test_together.py",
    "retries.md": "tests/worker/test_retries.py",
    "testing.md": "tests/testing/test_docs_page.py",
}
"""Pages whose Python is run with more around it by a test of its own."""
