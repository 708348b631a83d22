"""docs/howto/testing.md: its tests are run as they stand there, by pytest in a project of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.pages import page

ROOT = Path(__file__).parents[2]
PAGE = page("testing.md").read_text()
SNIPPETS = [text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def test_" in text]
SHOP = """
from runner import Runner, TokenBucket

jobs = Runner("shop")


@jobs.task
async def charge(order: str, tenant_id: str = "t7") -> str:
    return f"charged {order}"


@jobs.task(limits=[TokenBucket("api", rate="10/min", burst=10)])
async def call(n: int) -> None: ...


@jobs.task
async def remind(order: str) -> str:
    return f"reminded of {order}"


from fastapi import FastAPI

app = FastAPI()


@app.post("/orders/{order}/payment")
async def pay(order: str) -> str:
    return (await charge.submit(order)).id
"""


def test_every_test_of_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_page.py").write_text("from shop import *\n\n" + "\n\n".join(SNIPPETS))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    (tmp_path / "conftest.py").write_text("from runner_pytest import runner_server, test_queue  # where the package is not installed\n")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-W", "ignore::DeprecationWarning"]
    command += ["-W", "ignore:Using `httpx`"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}

    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)

    wanted = len(re.findall(r"^(?:async )?def test_", "\n".join(SNIPPETS), re.MULTILINE))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{wanted} passed" in ran.stdout
