"""Every block of Python that people read is run, a page as one program, against a real server and with workers."""

import asyncio
from pathlib import Path

import pytest
import redis

from tests.pages import ROOT
from tests.servers import Server
from tests.snippets.names import ELSEWHERE, NAMES
from tests.snippets.playing import play, shop
from tests.snippets.reading import PAGES, PATIENCE_S, Block, blocks_of


def python_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == "python"]


PLAYED = [page for page in PAGES if python_of(page) and page.name not in ELSEWHERE]


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.name)
async def test_the_python_of_a_page_runs(page: Path, own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_REDIS_URL", own_server.url)
    monkeypatch.setenv("RUNNER_COMMAND_TIMEOUT_S", PATIENCE_S)
    with redis.Redis.from_url(own_server.url) as connection:
        connection.flushall()
    with shop():
        names = await asyncio.to_thread(NAMES.get(page.name, dict))

        await play(python_of(page), names)


def test_a_block_that_fails_is_told_with_its_page_and_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as failure:
        asyncio.run(play([Block(ROOT / "README.md", 7, "python", "x = 1\nx / 0\n")], {}))

    last = failure.traceback[-1]
    assert (str(last.path).endswith("README.md:7"), last.lineno) == (True, 7)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_that_is_run_elsewhere_is_named_there(page: str) -> None:
    assert page in (ROOT / ELSEWHERE[page]).read_text()
    assert page in {path.name for path in PAGES}


def test_names_are_given_to_pages_that_are_there() -> None:
    assert NAMES.keys() - {page.name for page in PLAYED} == set()
