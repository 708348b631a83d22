"""Power loss: the server is killed and the end of its append-only file is gone. What was written before the cut is there, and whole."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from runner import Runner
from runner.jobs.submission import Submission
from runner.store.claims import ClaimRequest
from runner.store.job_store import JobStore
from tests import invariants
from tests.app_internals import store_of
from tests.conftest import OWN_KINDS, connect
from tests.eventually import PATIENCE_S, eventually
from tests.recovery import Recovery
from tests.servers import Server
from tests.store.builders import enlist, interval, job, succeeded
from tests.store.inside import inconsistencies, states, stream_ids
from tests.worker.conftest import a_crew, short_settings

QUEUE = "power"
CUTS = 10
BATCHES = 12
HALF_A_COMMAND = b"*3\r\n$3\r\nSET\r\n$5\r\nhal"


@dataclass
class Answered:
    """A job, and how long the file was when its submission was answered."""

    job_id: str
    bytes: int


@pytest.fixture(params=[f"{kind}-{sync}" for kind in OWN_KINDS for sync in ("everysec", "always")])
def unpowered_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    kind, _, sync = request.param.partition("-")
    with Server(kind, appendonly=True, options={"appendfsync": sync, "auto-aof-rewrite-percentage": "0"}) as server:
        yield server


@pytest.mark.fault("F37", bound_s=15)
async def test_what_was_written_before_the_power_went_is_there_and_whole(
    unpowered_server: Server, recovery: Recovery, request: pytest.FixtureRequest
) -> None:
    """With `everysec` what is younger than the last sync may be gone: at each cut exactly what was answered after it.

    With `always` an answer waits for the disk, so only what nobody was told of can be cut: half a command.
    """
    server = unpowered_server
    answered = await work_for_a_while(server)
    names = [each.job_id for each in answered]
    server.kill()
    saved = server.folder / "saved"
    shutil.copyfile(file_of(server), saved)
    length = file_of(server).stat().st_size
    if "always" in request.node.name:
        cuts = [length + more for more in range(1, CUTS + 1)]
    else:
        cuts = sorted(random.Random(37).sample(range(answered[0].bytes, length), CUTS), reverse=True)

    for cut in cuts:
        restore(server, saved)
        with file_of(server).open("r+b") as file:
            file.truncate(min(cut, length))
            file.seek(0, 2)
            file.write(HALF_A_COMMAND[: max(cut - length, 0)])
        server.start()
        store = JobStore(server.url, QUEUE, short_settings(server.url))
        found = dict(zip(names, await states(store, names), strict=True))
        assert {name for name in names if found[name] == "unknown"} <= {each.job_id for each in answered if each.bytes > cut}
        assert await inconsistencies(store) == []
        assert {name for name in await stream_ids(store) if found[name] == "unknown"} == set()
        await store.close()
        server.kill()

    recovery.begins()
    server.start()
    await all_end(server, names)
    recovery.ends()


async def work_for_a_while(server: Server) -> list[Answered]:
    """Jobs of all kinds are submitted, claimed, finished, and left running by a worker that will not come back."""
    store = JobStore(server.url, QUEUE, short_settings(server.url, lease_s=1.0, renew_s=0.2))
    await store.publish({}, [interval("x", capacity=5, refill=5, every=0.1)])
    await enlist(store, "gone")
    answered: list[Answered] = []
    for number in range(0, 4 * BATCHES, 4):
        batch = [submission(number), submission(number + 1, "x"), submission(number + 2, "x"), submission(number + 3, delay=0.2)]
        await store.submit(batch)
        answered += [Answered(each.id, file_of(server).stat().st_size) for each in batch]
        started = (await store.claim("gone", ClaimRequest(3, read_more=True))).jobs
        if len(started) > 1:
            await store.finish("gone", [succeeded(each) for each in started[1:]])
    await store.close()
    return answered


def submission(number: int, *needs: str, delay: float = 0) -> Submission:
    return job(f"j{number}", needs=needs, delay=delay, task="call", args=b'{"number":%d}' % number)


async def all_end(server: Server, names: list[str]) -> None:
    """Workers come back: what was lost is submitted again under its id, and everything ends."""
    app = Runner(QUEUE, settings=short_settings(server.url, lease_s=1.0, renew_s=0.2))

    @app.task
    async def call(number: int) -> int:
        return number

    async with a_crew() as crew, connect(server.url) as redis:
        worker = await crew.start(app)
        lost = [name for name, state in zip(names, await states(store_of(app), names), strict=True) if state == "unknown"]
        await store_of(app).submit([submission(int(name[1:])) for name in lost])
        async with asyncio.timeout(PATIENCE_S):
            for name in names:
                assert (await app.client.wait(name)).state == "succeeded"
        try:
            # The worker that is gone is taken off the books at the next look for lapsed ones, whether or not it still held a job.
            await eventually(lambda: nothing_is_wrong(redis, names, worker.id))
        finally:
            await app.close()


async def nothing_is_wrong(redis: Redis, names: list[str], worker: str) -> bool:
    return await invariants.violations(redis, QUEUE, names, live=[worker]) == []


def file_of(server: Server) -> Path:
    """What the server appends to: from Redis 7 on the last of several files."""
    parts = sorted((server.folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
    return parts[-1] if parts else server.folder / "appendonly.aof"


def restore(server: Server, saved: Path) -> None:
    shutil.copyfile(saved, file_of(server))
