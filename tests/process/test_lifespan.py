"""What a worker's process says and exits with if its app cannot be opened, or not closed."""

import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

from tests.process.test_cli import environment

ROOT = Path(__file__).parents[2]
APP = """
import asyncio
from contextlib import asynccontextmanager
from runner import Runner

@asynccontextmanager
async def lifespan(app):
    {before}
    yield
    {after}

jobs = Runner({queue!r}, lifespan=lifespan)
"""


async def end_of(folder: Path, redis_url: str, *options: str) -> tuple[int | None, str]:
    """The exit code and the words of a worker that stops once the queue is empty."""
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "runner", "worker", "--app", "opened:jobs", "--redis-url", redis_url, *options),
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


async def test_a_start_that_fails_is_one_line_and_exit_code_6(redis_url: str, queue: str, tmp_path: Path) -> None:
    (tmp_path / "opened.py").write_text(APP.format(queue=queue, before="raise ValueError('no model')", after="pass"))
    code, said = await end_of(tmp_path, redis_url)
    assert code == 6
    assert "lifespan lifespan failed: ValueError: no model (opened.py:8)" in said
    assert "Traceback" not in said
    code, said = await end_of(tmp_path, redis_url, "-v")
    assert code == 6
    assert "Traceback" in said


async def test_an_end_that_fails_is_a_traceback_and_exit_code_1(redis_url: str, queue: str, tmp_path: Path) -> None:
    body = "asyncio.get_running_loop().call_later(2, __import__('os').kill, __import__('os').getpid(), 15)"
    (tmp_path / "opened.py").write_text(APP.format(queue=queue, before=body, after="raise ValueError('cannot close')"))
    code, said = await end_of(tmp_path, redis_url)
    assert code == 1
    assert "Traceback" in said
    assert "ValueError: cannot close" in said
