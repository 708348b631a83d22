"""The examples that are programs, as their readers run them: in a folder without a server, each with its processes and its HTTP."""

import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.children import start_child

ROOT = Path(__file__).parents[2]


async def run(folder: Path, *words: str) -> str:
    """What `python -m ...` prints, if it ends well."""
    environment = {name: value for name, value in os.environ.items() if name != "RUNNER_REDIS_URL"} | {"PYTHONPATH": str(ROOT)}
    process = await start_child(sys.executable, "-m", *words, stdout=PIPE, stderr=PIPE, cwd=folder, env=environment)
    output, errors = await process.communicate()
    assert process.returncode == 0, (output, errors)
    return output.decode()


async def test_payments_are_charged_once_although_a_worker_is_killed_and_answers_are_lost(tmp_path: Path) -> None:
    said = await run(tmp_path, "examples.payments", "--count", "30")

    assert "kill -9 of the worker" in said
    assert "30 orders: 28 paid, 2 declined" in said
    assert "charges made: 28, orders charged twice: 0" in said
    assert int(re.findall(r"replayed (\d+)", said)[0]) >= 1


async def test_webhooks_reach_all_who_take_them_and_no_more_than_three_at_a_time(tmp_path: Path) -> None:
    said = await run(tmp_path, "examples.webhooks_out", "--count", "8")

    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if re.match(r"\w+ +\d+ +\d+ +\d+ ", line)}
    assert {customer: row[0] for customer, row in rows.items()} == {"good": "8", "slow": "8", "strict": "8", "down": "8", "gone": "0"}
    assert all(int(row[2]) <= 3 for row in rows.values())
    assert "32 delivered, 8 given up" in said


async def test_each_site_is_crawled_at_the_pace_that_its_robots_txt_asks_for(tmp_path: Path) -> None:
    said = await run(tmp_path, "examples.scraper", "--pages", "3")

    rows = re.findall(r"site (\d) +([\d.]+) s +([\d.]+) s +(\d+) +(\d+)", said)
    assert len(rows) == 3
    for _, delay, shortest, requests, refused in rows:
        assert float(shortest) >= float(delay)
        assert (int(requests) >= 4, refused) == (True, "0")
