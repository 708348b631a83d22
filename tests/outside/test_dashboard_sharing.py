"""What the dashboard shows of a limit that several queues share, of a budget, and of what a provider says: in a real browser."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.outside.served import ROOT, Served, process, served
from tests.outside.test_browser import browser as browser
from tests.outside.test_dashboard import ask, looking

pytestmark = pytest.mark.slow

APP = "tests.outside.sharing_shop"
FILL = f"""
import asyncio
from {APP} import buy, call, call_too, find, jobs, others

async def fill():
    await find.submit()
    await (await buy.submit(412_50)).result()
    for task in (call, call_too):
        for _ in range(400):
            await task.submit()
    await jobs.close()
    await others.close()

asyncio.run(fill())
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("sharing") / "worker.log"
    with ExitStack() as stack:
        running = stack.enter_context(served(app=f"{APP}:jobs"))
        stack.enter_context(process(running.environment | {"RUNNER_APP": f"{APP}:others"}, log, "working", "worker", "--drain", "1"))
        done = subprocess.run([sys.executable, "-c", FILL], env=running.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield running


def test_a_shared_limit_tells_its_queues(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/account") as page:
        table = page.get_by_role("table", name="Queues that share it")
        table.get_by_text("sharing-too").wait_for()
        page.get_by_role("heading", name=re.compile("Shared by 2")).wait_for()
        page.get_by_text(re.compile("scope shared: [0-9]+ in their hands")).wait_for()
        rows = table.locator(".pool-row").all_inner_texts()
        assert [row.split("\n")[0] for row in rows] == ["Queue", "sharing", "sharing-too"]
        assert all(int(row.split("\n")[3].replace(",", "")) > 100 for row in rows[1:])


def test_a_budget_is_told_in_its_unit_with_its_end(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/usd") as page:
        page.locator(".lead").get_by_text("5,000.00 USD a year").wait_for()
        page.locator(".lead").get_by_text(
            re.compile(r"412\.50 of 5,000\.00 USD spent: at the present pace \([0-9,.]+ USD a day\)")
        ).wait_for()


def test_a_warning_of_a_budget_is_among_the_events(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "events") as page:
        line = page.locator(".feed li", has_text="budget warning")
        line.get_by_text("limit usd").wait_for()
        line.get_by_text(re.compile(r"412\.50 USD of 5,000\.00 USD are spent")).wait_for()


def test_what_the_provider_says_is_told_beside_what_we_had(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/lookups") as page:
        page.locator(".lead").get_by_text(re.compile("Its provider says 112 left, we had 139, .* ago")).wait_for()


def test_a_job_that_waits_for_a_shared_limit_says_by_what_it_waits_and_when_it_ends(browser: Any, shop: Served) -> None:
    waiting = ask(shop, "/v1/jobs?state=waiting&task=call")["jobs"][-1]["id"]
    with looking(browser, shop.url, f"jobs/{waiting}") as page:
        page.locator(".lead").get_by_text(re.compile(r"account, shared by 2 queues .* \(this queue gets [0-9.]+ a second\)")).wait_for()
        page.locator(".facts").get_by_text(re.compile("in about")).wait_for()


@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("view", ["limits/account", "limits/usd"])
def test_nothing_is_wider_than_the_window(browser: Any, shop: Served, view: str, size: str) -> None:
    with looking(browser, shop.url, view, size=size) as page:
        page.locator(".lead").wait_for()
        if view == "limits/account":
            page.get_by_role("table", name="Queues that share it").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
