"""Every command that people read: those of the runner are given to the real command line, and all others name what exists."""

import io
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from api.openapi import CONTRACT
from runner.cli.app import main
from tests.pages import ROOT
from tests.servers import Server
from tests.snippets.reading import PATIENCE_S, SHELL, Block, blocks

STAYS = {"worker", "api", "dev", "demo", "top", "watch", "events"}
"""Commands that run until they are stopped: their words are read, and they are not begun."""
NOT_RUN = {
    "docker": "needs Docker, and images from a registry",
    "kubectl": "needs a cluster",
    "export": "sets a variable of the reader's shell",
}
"""First words of commands that no test runs, and why."""
UNKNOWN_JOB, FAILED, DONE = 3, 1, 0
ROUTES = [*json.loads(CONTRACT.read_text())["paths"], "/docs", "/openapi.json", "/ui/"]
COMMANDS = [pytest.param(command, block, id=block.place) for block in blocks(*SHELL) for command, _ in block.commands()]


def words_of(command: str) -> list[list[str]]:
    """The words of each command of a line, without a comment and without what comes after a pipe."""
    words = shlex.split(command, comments=True)
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|", ";"):
            parts.append([])
        else:
            parts[-1].append(word)
    return [[word for word in part if not re.match(r"[A-Z_]+=", word)] for part in parts]


def run(words: list[str]) -> int:
    """The exit code of the command line in this process."""
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)


def stays(words: list[str]) -> bool:
    return words[0] in STAYS or bool({"--watch", "--follow", "--url"} & set(words))


@pytest.mark.parametrize(("command", "block"), COMMANDS)
def test_a_command_runs_or_names_what_exists(
    command: str, block: Block, shop_server: Server, shop_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in words_of(command):
        match words:
            case ["python" | ".venv/bin/python", "-m", "runner", *rest] | ["runner", *rest]:
                monkeypatch.setenv("RUNNER_REDIS_URL", shop_server.url)
                monkeypatch.setenv("RUNNER_COMMAND_TIMEOUT_S", PATIENCE_S)
                monkeypatch.setenv("RUNNER_APP", "shop.tasks:jobs")
                monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 3))
                monkeypatch.syspath_prepend(shop_folder)
                code = run([*rest, "--help"] if stays(rest) else rest)
                assert code in (DONE, FAILED, UNKNOWN_JOB), f"{block.place}: {command}\n{capsys.readouterr().err}"
            case ["python" | ".venv/bin/python", "-m", module, *_]:
                assert module == "venv" or (ROOT / module).is_dir() or (ROOT / f"{module}.py").is_file()
            case ["python", script]:
                assert any(script in other.text or f"`{script}`" in other.page.read_text() for other in blocks("python"))
            case ["make", target, *_]:
                assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            case ["pip", "install", *rest]:
                extras = {name for word in rest for name in re.findall(r"\[(.*)\]", word)}
                known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
                assert {name for group in extras for name in group.split(",")} <= known.keys()
            case ["curl", *rest]:
                assert [word for word in rest if "localhost:8000" in word and not is_served(word.partition("localhost:8000")[2])] == []
            case [".venv/bin/pytest", *_] | [".", *_] | []:
                pass
            case [first, *_]:
                assert first in NOT_RUN, f"{block.place}: {command}: nothing runs this, and NOT_RUN has no reason"


def is_served(path: str) -> bool:
    """Whether the service has a route for this path."""
    return any(re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", known), path.partition("?")[0]) for known in ROUTES)


def test_each_reason_why_a_command_is_not_run_is_of_use() -> None:
    used = {words[0] for block in blocks(*SHELL) for command, _ in block.commands() for words in words_of(command) if words}

    assert NOT_RUN.keys() - used == set()


@pytest.mark.parametrize("block", blocks("toml", "yaml", "json"), ids=lambda block: block.place)
def test_a_block_of_data_can_be_read(block: Block) -> None:
    {"toml": tomllib.loads, "yaml": yaml.safe_load, "json": json.loads}[block.language](block.text)
