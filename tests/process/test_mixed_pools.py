"""Workers of a version that knows of no pools beside those that do, in both orders: no job is lost, and no limit is exceeded."""

import signal
import subprocess
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests import invariants
from tests.eventually import eventually
from tests.process.apps import METERED, App
from tests.process.crew import Crew, WorkerProcess, final, worker_ids

ROOT = Path(__file__).parents[2]
BEFORE_POOLS = "8c35769fd87ea8f2b3b972ee4d63c2a44ece3819"


@pytest.fixture
def before_pools(tmp_path: Path) -> Path:
    """The last version that knows of no pools."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", BEFORE_POOLS, "runner", "api", "tests"], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"commit {BEFORE_POOLS} is not in this checkout")
    folder = tmp_path / "before"
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


async def submit(app: App, start: int) -> list[str]:
    """Jobs of both pools, with and without a limit, at once and later."""
    ids = []
    for pool, first in (("gpu", start), ("default", start + 500)):
        ids += await app.submit(app.nap, range(first, first + 20), 0.01, pool=pool)
        ids += await app.submit(app.metered, range(first + 100, first + 140), 0.01, pool=pool)
        ids += await app.submit(app.nap, range(first + 200, first + 210), 0.01, pool=pool, delay=1.0)
    return ids


async def leave(worker: WorkerProcess) -> None:
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0


@pytest.mark.fault("F42")
@pytest.mark.parametrize("order", ["old first", "new first"])
async def test_a_version_without_pools_and_one_with_them_replace_each_other_under_load(
    app: App, redis: Redis, queue: str, crew: Crew, before_pools: Path, order: str
) -> None:
    first, second = (before_pools, None) if order == "old first" else (None, before_pools)
    leaving = await crew.start(checkout=first)
    ids = await submit(app, 0)
    gpu = await crew.start(pools="gpu")
    other = await crew.start(checkout=second)
    ids += await submit(app, 1000)
    await eventually(lambda: app.runs().total() > 60)
    await leave(leaving)
    ids += await submit(app, 2000)
    await leave(gpu)
    await crew.start(pools="gpu")
    await final(redis, queue, ids)

    assert app.runs() == dict.fromkeys(ids, 1)
    assert other.runs
    live = (await worker_ids(redis, queue)).values()
    assert await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live) == []


@pytest.mark.fault("F42")
async def test_jobs_of_a_killed_worker_of_a_pool_are_taken_back_once_a_newer_worker_leads(
    app: App, redis: Redis, queue: str, crew: Crew, before_pools: Path
) -> None:
    old = await crew.start(checkout=before_pools)
    victim = await crew.start(pools="gpu")
    ids = await app.submit(app.nap, range(5), 0.5, pool="gpu")
    await eventually(lambda: app.runs().total() == 5)
    await victim.kill()
    await crew.start(pools="gpu,default")
    await leave(old)

    await final(redis, queue, ids)
    assert set(app.runs().values()) == {2}
