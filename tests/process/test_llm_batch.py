"""examples/llm_batch as its readers run it: a process that is stopped by Ctrl-C, and begun again."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from examples.llm_batch.provider import Provider
from examples.local_server import serving
from tests.children import start_child
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
PROMPTS = 100
A_MINUTE = 1_200
SAVED_S = 5
"""The burst of the example is a second's: calls may be late by four seconds on their way, on a busy machine."""


async def started(folder: Path, url: str, *words: str) -> Process:
    """The example in a folder of its own, where it finds no server."""
    environment = {name: value for name, value in os.environ.items() if name != "RUNNER_REDIS_URL"} | {
        "LLM_URL": f"{url}/v1",
        "LLM_REQUESTS_A_MINUTE": str(A_MINUTE),
        "LLM_TOKENS_A_MINUTE": str(A_MINUTE * 200),
        "PYTHONPATH": str(ROOT),
    }
    return await start_child(
        sys.executable, "-m", "examples.llm_batch", "--count", str(PROMPTS), *words, stdout=PIPE, stderr=PIPE, cwd=folder, env=environment
    )


def lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


async def test_a_batch_that_was_interrupted_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    provider, answers = Provider(A_MINUTE, A_MINUTE * 200, saved_s=SAVED_S, failing=0), tmp_path / "answers.jsonl"
    async with serving(provider) as url:
        first = await started(tmp_path, url)
        await eventually(lambda: lines(answers) >= 15 or first.returncode is not None)
        first.send_signal(signal.SIGINT)
        _, said = await first.communicate()
        assert first.returncode == 130, said
        assert "goes on from there" in said.decode()
        assert 15 <= lines(answers) < PROMPTS

        second = await started(tmp_path, url)
        output, errors = await second.communicate()
    assert second.returncode == 0, errors
    assert b"answers.jsonl has them all" in output
    assert lines(answers) == len(provider.answers) == PROMPTS
    assert set(provider.answers.values()) == {1}
    assert provider.counts["requests"] == PROMPTS
    assert provider.counts["refused"] == 0


async def test_it_needs_neither_a_server_nor_a_provider(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("RUNNER_REDIS_URL", "LLM_URL")}
    process = await start_child(
        sys.executable, "-m", "examples.llm_batch", "--count", "30", stdout=PIPE, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0
    assert b"answered 30, refused 0" in output
    assert lines(tmp_path / "answers.jsonl") == 30
