"""Two versions of the library on one queue: an earlier commit, the next format, and one too far ahead."""

import asyncio
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner import Client, JobOptions, Runner
from runner.errors import IncompatibleVersion
from runner.jobs.job import Priority
from runner.settings import load_settings
from runner.store import data_format as wire
from runner.store.keys import Keys
from tests import invariants
from tests.eventually import eventually
from tests.leftovers import keys_of
from tests.process.apps import METERED, App
from tests.process.crew import Crew, final, worker_ids
from tests.recovery import Recovery

ROOT = Path(__file__).parents[2]
EARLIER = "74dee51abe06d6495488cba5984cd27277efbe3b"
"""A commit of format 1, which was never released."""
BEFORE = "235eed4b32d76cb0c29c2ea5c8efe495b996c347"
"""A commit of format 2, which knows no unique jobs."""


def version(folder: Path, number: int, oldest: int) -> Path:
    """A copy of this package as a later version might be: another format, and one field more wherever fields are kept."""
    shutil.copytree(ROOT / "runner", folder / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "api").symlink_to(ROOT / "api")
    edit(folder / "runner/store/data_format.py", rf"^FORMAT = {wire.FORMAT}$", f"FORMAT = {number}")
    edit(folder / "runner/store/data_format.py", rf"^OLDEST_FORMAT = {wire.OLDEST_FORMAT}$", f"OLDEST_FORMAT = {oldest}")
    edit(
        folder / "runner/jobs/task_spec.py", r"^    on_expiry: str = \"expire\"$", '    on_expiry: str = "expire"\n    colour: str = "red"'
    )
    edit(folder / "runner/store/lua/claim.lua", r"'state', 'running', ", "'state', 'running', 'colour', 'red', ")
    edit(folder / "runner/store/lua/include/bucket.lua", r"local words, n = \{\}, 0$", "local words, n = { 'colour', 'red' }, 2")
    return folder


def edit(path: Path, pattern: str, replacement: str) -> None:
    text, found = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert found == 1, f"{path.name} has {found} places like {pattern}"
    path.write_text(text)


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    return version(tmp_path / "next", wire.FORMAT + 1, wire.FORMAT)


@pytest.fixture
def later_version(tmp_path: Path) -> Path:
    """Two formats ahead: it works alongside the one before, and no longer alongside this one."""
    return version(tmp_path / "later", wire.FORMAT + 2, wire.FORMAT + 1)


def checkout(commit: str, folder: Path) -> Path:
    """The package, its API and its tests as they were."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "runner", "api", "tests"], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"commit {commit} is not in this checkout")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


@pytest.fixture
def version_before(tmp_path: Path) -> Path:
    return checkout(BEFORE, tmp_path / "before")


@pytest.fixture
def earlier_version(tmp_path: Path) -> Path:
    folder = checkout(EARLIER, tmp_path / "earlier")
    # It imports a library that is not needed any more, for calls by name: there are none here.
    (folder / "jsonschema_rs.py").write_text("def __getattr__(name: str) -> type: return object\n")
    return folder


@pytest.mark.fault("F42")
async def test_two_versions_share_a_queue_and_replace_each_other_under_load(
    app: App, redis: Redis, queue: str, crew: Crew, next_version: Path
) -> None:
    await crew.start()
    await crew.start(checkout=next_version)
    ids = await app.submit(app.metered, range(150), 0.01)
    ids += await app.submit(app.nap, range(1000, 1150), 0.01)
    ids += await app.submit(app.nap, range(2000, 2020), 0.01, delay=1.0)
    for newcomer in (next_version, None):
        done = app.runs().total()
        await eventually(lambda: app.runs().total() > done + 40 or app.runs().total() > 280)  # noqa: B023 - awaited at once
        leaving = crew.alive[0]
        await crew.start(checkout=newcomer)
        leaving.signal(signal.SIGTERM)
        assert await leaving.ended() == 0
    await final(redis, queue, ids)

    assert app.runs() == dict.fromkeys(ids, 1)
    live = (await worker_ids(redis, queue)).values()
    assert await invariants.violations(redis, queue, ids, limits=[METERED], runs=app.runs(), live=live) == []


@pytest.mark.fault("F42", bound_s=15)
async def test_the_jobs_of_a_killed_worker_go_on_in_another_version(
    app: App, redis: Redis, queue: str, crew: Crew, next_version: Path, recovery: Recovery
) -> None:
    victim = await crew.start()
    for heir_version, numbers in ((next_version, range(10)), (None, range(10, 20))):
        heir = await crew.start(checkout=heir_version)
        ids = await app.submit(app.nap, numbers, 0.7)
        await eventually(lambda: set(ids) <= set(app.runs()))  # noqa: B023 - awaited at once
        await victim.kill()
        recovery.begins()
        await final(redis, queue, ids)
        recovery.ends()
        assert sorted(app.runs()[job_id] for job_id in ids) == [1] * 5 + [2] * 5
        victim = heir


async def test_a_version_too_new_for_a_worker_at_work_does_not_start(
    app: App, redis: Redis, queue: str, crew: Crew, later_version: Path
) -> None:
    await crew.start()
    (old,) = (await worker_ids(redis, queue)).values()

    refused = await crew.launch(checkout=later_version)

    assert await refused.ended() != 0
    assert (
        f"IncompatibleVersion: worker {old} of queue '{queue}' has format {wire.FORMAT}, and this version works alongside"
        f" format {wire.FORMAT + 1} and newer only" in refused.log
    )
    crew.all.remove(refused)
    assert await redis.hgetall(Keys(queue).format) == {b"newest": b"%d" % wire.FORMAT, b"oldest": b"%d" % wire.OLDEST_FORMAT}
    ids = await app.submit(app.nap, range(1))
    await final(redis, queue, ids)


async def test_after_a_version_too_new_old_workers_and_producers_are_refused_in_one_line(
    app: App, redis: Redis, redis_url: str, queue: str, crew: Crew, later_version: Path
) -> None:
    await crew.start(checkout=later_version)
    said = f"queue '{queue}' is in use by a newer version of this library (format {wire.FORMAT + 2}), which works alongside format {wire.FORMAT + 1} and newer only"

    with pytest.raises(IncompatibleVersion, match=re.escape(said)):
        await app.submit(app.nap, range(1))
    async with Client(queue, settings=load_settings(redis_url=redis_url)) as client:
        with pytest.raises(IncompatibleVersion):
            await client.submit("nap", {"number": 1})
    refused = await crew.launch()
    assert await refused.ended() != 0
    assert said in refused.log
    crew.all.remove(refused)
    assert await redis.xlen(Keys(queue).stream(Priority.normal)) == 0


async def test_a_version_of_format_1_and_this_one_refuse_each_other_in_one_line(
    app: App, redis: Redis, redis_url: str, queue: str, crew: Crew, earlier_version: Path
) -> None:
    earlier = await crew.start(checkout=earlier_version)
    (old,) = (await worker_ids(redis, queue)).values()
    async with Client(queue, settings=load_settings(redis_url=redis_url)) as client:
        refused = await crew.launch()
        assert await refused.ended() != 0
        assert (
            f"IncompatibleVersion: worker {old} of queue '{queue}' has format 1, and this version works alongside format 2" in refused.log
        )
        earlier.signal(signal.SIGTERM)
        assert await earlier.ended() == 0
        said = f"queue '{queue}' holds data of format 1, and this version works with format 2 and newer only: use another queue name"
        refused_again = await crew.launch()
        assert await refused_again.ended() != 0
        assert said in refused_again.log
        for refusing in (lambda: app.submit(app.nap, range(1)), client.refuse_unfit_server, lambda: client.submit("nap", {"number": 1})):
            with pytest.raises(IncompatibleVersion, match=re.escape(said)):
                await refusing()
        (finding,) = [finding for finding in await client.examine() if finding.check == "format"]
        assert finding.text.startswith(said)

    await redis.delete(*await keys_of(redis, queue))
    await crew.start()
    too_old = await crew.launch(checkout=earlier_version)
    assert await too_old.ended() != 0
    assert f"queue '{queue}' is in use by a newer version of this library (format {wire.FORMAT})" in too_old.log
    for ended in (earlier, refused, refused_again, too_old):
        crew.all.remove(ended)
    ids = await app.submit(app.nap, range(1))
    await final(redis, queue, ids)


_BY_NAME = """
import asyncio, sys
from runner import Client
from runner.settings import load_settings

async def main():
    async with Client(sys.argv[2], settings=load_settings(redis_url=sys.argv[1])) as client:
        await client.submit("single", {"number": 1})

try:
    asyncio.run(main())
except Exception as error:
    print(type(error).__name__, error)
"""


async def swept(redis: Redis, keys: Keys) -> bool:
    return not await redis.exists(keys.unique)


@pytest.mark.fault("F42")
async def test_unique_jobs_beside_the_format_before(
    app: App, redis: Redis, redis_url: str, queue: str, crew: Crew, version_before: Path
) -> None:
    """A worker of it runs and ends them as any other; their marks are taken over, and swept. A producer of it is refused by name."""
    keys = Keys(queue)
    unique = JobOptions(unique=True)
    await crew.start(checkout=version_before)
    async with Client(queue, settings=load_settings(redis_url=redis_url)) as client:
        await app.submit(app.nap, range(1))
        first = await client.submit("nap", {"number": 7, "seconds": 0.5}, unique)
        assert (await client.submit("nap", {"number": 7, "seconds": 0.5}, unique)).id == first.id
        assert (await first.wait(20)).state == "succeeded"
        assert await redis.hlen(keys.unique) == 1, "code of format 2 leaves the mark"
        second = await client.submit("nap", {"number": 7, "seconds": 0.5}, unique)
        assert second.id != first.id
        assert (await second.wait(20)).state == "succeeded"

        old = crew.alive[0]
        await crew.start()
        old.signal(signal.SIGTERM)
        assert await old.ended() == 0
        await eventually(lambda: swept(redis, keys))

        runner = Runner(queue, settings=load_settings(redis_url=redis_url))

        @runner.task(unique=True)
        async def single(number: int) -> None: ...

        await runner.submit_many([])
        said = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", _BY_NAME, redis_url, queue],
            cwd=version_before,
            env={"PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.startswith("IncompleteCatalog ")
        assert "'format:3', which is not in the catalog" in said.stdout
        await runner.close()


def test_the_formats_of_this_version_fit_each_other() -> None:
    assert 1 <= wire.OLDEST_FORMAT <= wire.FORMAT
