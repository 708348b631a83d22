"""When a worker looks through all objects for garbage: not in the middle of its jobs, by Python's own count."""

import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

from runner import Runner
from tests.process.test_cli import environment

ROOT = Path(__file__).parents[2]
APP = """
import asyncio
import gc
from runner import Runner

jobs = Runner({queue!r})

@jobs.task
async def held() -> list[int]:
    for _ in range(1_000):
        if gc.get_freeze_count():
            break
        await asyncio.sleep(0.01)
    return [gc.get_freeze_count(), gc.get_threshold()[2]]
"""


async def test_what_a_worker_has_loaded_is_not_looked_through_while_it_works(redis_url: str, queue: str, tmp_path: Path) -> None:
    (tmp_path / "tidy.py").write_text(APP.format(queue=queue))
    words = (sys.executable, "-m", "runner", "worker", "--app", "tidy:jobs", "--redis-url", redis_url)
    process = await create_subprocess_exec(*words, cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), stdout=PIPE, stderr=PIPE)
    try:
        jobs = Runner(queue, redis_url=redis_url)

        @jobs.task
        async def held() -> list[int]:
            raise AssertionError("the worker's own runs")

        frozen, threshold = await (await held.submit()).result(timeout=30)
        await jobs.close()
    finally:
        process.terminate()
        await process.communicate()
    assert frozen > 10_000
    assert threshold > 1_000_000
