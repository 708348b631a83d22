"""A primary demoted, replaced or killed under load: workers and producers find its successor, and what was not copied is the only loss."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner import StoreUnavailable
from runner.store.keys import Keys
from tests.app_internals import store_of
from tests.conftest import OWN_KINDS, connect
from tests.eventually import eventually
from tests.process.apps import App
from tests.process.load import LEASE, QUEUE, goes_on, kept_their_leases, producing, settled, two_workers
from tests.recovery import Recovery
from tests.servers import Server, free_port
from tests.topologies import SentinelSet

pytestmark = pytest.mark.slow

NOBODY = ("127.0.0.1", "1")


@pytest.fixture(params=OWN_KINDS)
def sentinels(request: pytest.FixtureRequest) -> Iterator[SentinelSet]:
    with SentinelSet(request.param) as started:
        yield started


def commands_of_queues(server: Server) -> int:
    """How many calls of scripts and blocking reads a server got from workers and producers since its start or the last reset."""
    rows = [line.partition(":") for line in server.ask("INFO", "commandstats").splitlines()]
    words = {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_xreadgroup", "cmdstat_blpop"}
    return sum(int(fields.split(",")[0].removeprefix("calls=")) for name, _, fields in rows if name in words)


async def has_all(replica: Server, primary: Server) -> None:
    """Wait until a replica has copied all that its primary has written up to now."""
    written = primary.ask("ROLE")[1]
    await eventually(lambda: replica.ask("ROLE")[4] >= written)


async def copied(app: App, accepted: list[str], within: list[str]) -> list[str]:
    """What was accepted without that which a failover may lose and did: jobs accepted just before, or by the old primary meanwhile."""
    statuses = dict(zip(within, await _statuses(app, within), strict=True))
    return [job for job in accepted if statuses.get(job, job) is not None]


@pytest.mark.fault("F15", bound_s=10)
async def test_a_primary_demoted_while_workers_block_is_waited_for(private_server: Server, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(private_server, tmp_path, **LEASE) as (app, crew):
        async with producing(app) as producer:
            private_server.ask("REPLICAOF", "127.0.0.1", str(free_port()))
            refused = len(producer.accepted)
            await asyncio.sleep(1)
            assert len(producer.accepted) <= refused + 1
            private_server.ask("REPLICAOF", "NO", "ONE")
            recovery.begins()
            await goes_on(producer)
            recovery.ends()
        await settled(private_server, app, producer.accepted, most_runs=1)
        assert kept_their_leases(crew)


@pytest.mark.fault("F39", bound_s=10)
async def test_a_failover_ordered_from_sentinel_moves_everybody(sentinels: SentinelSet, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(sentinels, tmp_path, **LEASE) as (app, crew):
        async with producing(app) as producer:
            old, first = sentinels.primary, len(producer.accepted)
            await has_all(sentinels.replica, old)
            recovery.begins()
            sentinels.fail_over()
            await eventually(lambda: sentinels.primary is not old)
            new = sentinels.primary
            await eventually(lambda: new.ask("EXISTS", Keys(QUEUE).job(producer.accepted[-1])))
            await goes_on(producer)
            recovery.ends()
            within = producer.accepted[first:]
            await asyncio.sleep(1.2)  # for so long at most somebody may not have asked, the heartbeat thread may sleep
            old.ask("CONFIG", "RESETSTAT")
            await goes_on(producer, 50)
            await asyncio.sleep(1.2)
            assert old.ask("ROLE")[0] == "master"  # it still believes so, nobody else does
            assert commands_of_queues(old) == 0
        await settled(sentinels, app, await copied(app, producer.accepted, within), most_runs=2, limits=())
        assert kept_their_leases(crew)


@pytest.mark.fault("F39", bound_s=10)
async def test_a_killed_primary_is_replaced_and_gets_nothing_when_it_returns(
    sentinels: SentinelSet, tmp_path: Path, recovery: Recovery
) -> None:
    async with two_workers(sentinels, tmp_path, **LEASE) as (app, crew):
        async with producing(app) as producer:
            old, first = sentinels.primary, len(producer.accepted)
            await has_all(sentinels.replica, old)
            recovery.begins()
            old.kill()
            last = len(producer.accepted) + 1  # one may be on its way
            await goes_on(producer)
            within = producer.accepted[first:last]
            recovery.ends()
            old.start()  # it believes that it is the primary until the Sentinels tell it otherwise
            assert old.ask("ROLE")[0] == "master"
            await goes_on(producer, 100)
            assert commands_of_queues(old) == 0
        await settled(sentinels, app, await copied(app, producer.accepted, within), most_runs=2, limits=())
        assert kept_their_leases(crew)


@pytest.mark.fault("F39", bound_s=10)
async def test_a_primary_that_stood_still_gets_nothing_when_it_goes_on(sentinels: SentinelSet, tmp_path: Path, recovery: Recovery) -> None:
    app = App(sentinels.url, QUEUE, tmp_path)
    client = app.runner.client
    await app.submit(app.nap, range(1))
    old = sentinels.primary
    os.kill(old.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: sentinels.primary is not old)
    finally:
        os.kill(old.pid, signal.SIGCONT)
    recovery.begins()

    (job,) = await app.submit(app.nap, range(1, 2))  # this process has heard of nothing, and its connections still stand

    recovery.ends()
    async with connect(sentinels.direct_url) as redis:
        assert await redis.exists(store_of(client).keys.job(job))
    await app.runner.close()


@dataclass
class Pair:
    """A primary and a replica behind one address, which is moved by hand."""

    primary: Server
    replica: Server
    link: Path

    @property
    def url(self) -> str:
        return f"unix://{self.link}"

    @property
    def direct_url(self) -> str:
        return self.url

    def part(self) -> None:
        """From now on nothing is copied."""
        self.replica.ask("REPLICAOF", *NOBODY)

    def promote(self) -> None:
        """The replica takes over: its role, and the address."""
        self.replica.ask("REPLICAOF", "NO", "ONE")
        self.link.unlink()
        self.link.symlink_to(self.replica.socket)


@pytest.fixture(params=OWN_KINDS)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    options = {"repl-diskless-sync-delay": "0", "min-replicas-max-lag": "1", "repl-ping-replica-period": "1"}
    first = Server(request.param, tcp=True, options=options)
    with first as primary, Server(request.param, tcp=True, options={**options, "replicaof": f"127.0.0.1 {first.port}"}) as replica:
        link = tmp_path / "redis.sock"
        link.symlink_to(primary.socket)
        await eventually(lambda: len(primary.ask("ROLE")[2]) == 1 and replica.ask("ROLE")[3] == "connected")
        yield Pair(primary, replica, link)


@pytest.mark.fault("F38", bound_s=10)
async def test_a_failover_loses_what_was_not_copied_and_nothing_else(pair: Pair, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(pair, tmp_path, **LEASE) as (app, _):
        copied = await app.submit(app.nap, range(20))
        await eventually(lambda: app.runs().total() == 20)
        await has_all(pair.replica, pair.primary)
        pair.part()
        running = await app.submit(app.nap, range(20, 25), 1.0)
        await eventually(lambda: app.runs().total() == 25)
        lost = await app.submit(app.nap, range(25, 50), 0.0, delay=0.5)
        pair.primary.kill()
        pair.promote()
        recovery.begins()
        assert not any(await _statuses(app, lost))

        # What was lost can be submitted again under its id, and nobody is stuck in between.
        again = await _answered(app, range(20, 50))
        await settled(pair, app, copied + again, most_runs=2)
        recovery.ends()

        assert running[0] in again


@pytest.mark.fault("F38", bound_s=10)
async def test_with_min_replicas_a_primary_that_is_cut_off_refuses_instead(pair: Pair, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(pair, tmp_path, **LEASE) as (app, _):
        await app.submit(app.nap, range(20))
        pair.primary.ask("CONFIG", "SET", "min-replicas-to-write", "1")
        pair.part()

        async def is_refused() -> bool:
            try:
                await app.submit(app.nap, range(100, 101))
            except StoreUnavailable as error:
                return "NOREPLICAS" in str(error)
            return False

        await eventually(is_refused)
        pair.replica.ask("REPLICAOF", "127.0.0.1", str(pair.primary.port))
        recovery.begins()
        ids = await _answered(app, range(20, 40))
        await settled(pair, app, ids, most_runs=1)
        recovery.ends()


async def _statuses(app: App, ids: list[str]) -> list[object]:
    while True:
        try:
            return list(await app.runner.client.statuses(ids))
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def _answered(app: App, numbers: range) -> list[str]:
    """Submit until it is answered."""
    while True:
        try:
            return await app.submit(app.nap, numbers)
        except StoreUnavailable:
            await asyncio.sleep(0.05)
