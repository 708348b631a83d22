"""`runner top` and `limits show --watch` in a real terminal: sizes, keys, a lost server, and what is left of it afterwards."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from runner import Runner, TokenBucket
from tests.outside.served import served
from tests.process.terminal import Terminal
from tests.servers import Server

ON, OFF, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
"""The screen of its own, back to the one before, and the cursor."""
LIMITS = 8


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(tcp=True) as running:
        asyncio.run(fill(running.url))
        yield running


async def fill(url: str) -> None:
    """Lines at some limits, and nobody who works."""
    jobs = Runner("shop", redis_url=url)
    limits = [TokenBucket(f"limit-{number}", rate="1/h") for number in range(LIMITS)]

    for limit in limits:

        @jobs.task(limits=[limit], name=f"work-{limit.name}")
        async def work() -> None: ...

    for name, task in jobs.tasks.items():
        await jobs.submit_many([task.prepare() for _ in range(2 + int(name[-1]))])
    await jobs.close()


def top(server: Server, *words: str, columns: int = 120, lines: int = 30, **settings: str) -> Terminal:
    environment = {"RUNNER_REDIS_URL": server.url} | settings
    return Terminal(*(words or ("top",)), "--queue", "shop", columns=columns, lines=lines, environment=environment)


def is_home(lines: list[str]) -> bool:
    return lines[0].startswith("shop ") and any(line.startswith("LIMIT ") for line in lines)


def rows(lines: list[str]) -> int:
    return len([line for line in lines if line.startswith("limit-")])


@pytest.mark.parametrize(("columns", "lines"), [(160, 40), (80, 24), (40, 10)])
def test_every_line_fits_on_a_screen_of_any_size(server: Server, columns: int, lines: int) -> None:
    with top(server, columns=columns, lines=lines) as terminal:
        shown = terminal.until(is_home)
        assert "jobs wait at 8 limits."[: columns - 20] in shown[1]
        assert [place for place, line in enumerate(shown) if line.startswith("LIMIT ")] == [4], "no line is broken into two"
        assert rows(shown) == min(LIMITS, lines - 7)
        assert shown[5].startswith("limit-7"), "the longest line comes first"


def test_a_window_that_is_drawn_smaller_and_larger_is_filled_anew(server: Server) -> None:
    with top(server) as terminal:
        terminal.until(is_home)
        for columns, lines in ((60, 9), (140, 40)):
            terminal.resize(columns, lines)
            told = min(LIMITS, lines - 7)
            terminal.until(lambda shown, told=told: is_home(shown) and rows(shown) == told)  # type: ignore[misc] # a default has no type


@pytest.mark.parametrize("keys", ["q", "Q", "\x03"])
def test_it_leaves_the_terminal_as_it_was(server: Server, keys: str) -> None:
    with top(server) as terminal:
        terminal.until(is_home)
        assert ON in terminal.raw
        terminal.type("x")
        terminal.type(keys)
        assert terminal.ended() == 0
        assert terminal.attributes == terminal.before
        terminal.until(lambda _: terminal.raw.rfind(OFF) > terminal.raw.rfind(ON) and CURSOR in terminal.raw[terminal.raw.rfind(ON) :])
        assert b"Traceback" not in terminal.raw


def test_while_the_server_is_away_the_latest_view_stays_with_its_age() -> None:
    with Server(tcp=True, appendonly=True) as server:
        asyncio.run(fill(server.url))
        with top(server) as terminal:
            terminal.until(is_home)
            server.kill()
            shown = terminal.until(lambda lines: lines[0].startswith("NOT CONNECTED, what is shown is"))
            assert any(line.startswith("limit-7") for line in shown)
            server.start()
            terminal.until(is_home)
            terminal.type("q")
            assert terminal.ended() == 0


def test_without_colours_nothing_is_coloured(server: Server) -> None:
    with top(server, NO_COLOR="1") as terminal:
        terminal.until(is_home)
        terminal.type("q")
        terminal.ended()
        codes = {part.partition(b"m")[0] for part in terminal.raw.split(b"\x1b[")[1:] if b"m" in part[:12]}
        assert not [code for code in codes if code.startswith((b"3", b"4", b"9"))], codes


def test_one_limit_is_watched_with_its_line(server: Server) -> None:
    with top(server, "limits", "show", "limit-7", "--watch") as terminal:
        terminal.until(lambda lines: lines[0].startswith("limit-7") and any("work-limit-7" in line for line in lines))
        terminal.type("q")
        assert terminal.ended() == 0
        assert terminal.attributes == terminal.before


@pytest.mark.slow
def test_it_is_shown_over_http_with_a_key() -> None:
    with served() as service:
        key: dict[str, Any] = service.command("keys", "create", "wall", "--preset", "observer")
        environment = {"RUNNER_URL": "", "RUNNER_API_KEY": key["secret"], "RUNNER_REDIS_URL": "redis://127.0.0.1:1/0"}
        with Terminal("top", "--url", service.url, columns=100, lines=30, environment=environment) as terminal:
            terminal.until(lambda lines: lines[0].startswith("outside "))
            assert key["secret"].encode() not in terminal.raw
            terminal.type("q")
            assert terminal.ended() == 0
