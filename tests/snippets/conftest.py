"""The servers and the shop that snippets are run with."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import Client
from tests.eventually import eventually
from tests.pages import ROOT, page
from tests.servers import VALKEY, Server
from tests.snippets.reading import blocks_of

MORE = """

@jobs.task
async def report(day: str) -> str:
    return day
"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server for all snippets of a module, which begin with what the last one has left, or empty it."""
    with Server(VALKEY) as started:
        yield started


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `shop` that pages speak of: the first program of the page for newcomers, and a task `report`."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop").mkdir()
    (first, *_) = (block for block in blocks_of(page("five-minutes.md")) if block.language == "python")
    (folder / "shop" / "tasks.py").write_text(first.text + MORE)
    return folder


@pytest.fixture(scope="module")
def shop_server(own_server: Server, shop_folder: Path) -> Iterator[Server]:
    """A server on which a worker serves the tasks of the shop."""
    paths = os.pathsep.join([str(ROOT), str(shop_folder)])
    environment = {**os.environ, "RUNNER_REDIS_URL": own_server.url, "RUNNER_APP": "shop.tasks:jobs", "PYTHONPATH": paths}
    with subprocess.Popen(
        [sys.executable, "-m", "runner", "worker"], env=environment, cwd=shop_folder, stderr=subprocess.DEVNULL
    ) as worker:
        try:
            asyncio.run(_published(own_server.url))
            yield own_server
        finally:
            worker.terminate()


async def _published(url: str) -> None:
    async with Client("shop", redis_url=url) as client:
        await eventually(client.tasks, within_s=60)
