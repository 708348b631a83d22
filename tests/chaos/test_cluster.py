"""A cluster that changes under load: the owner of a queue killed or replaced in good order, its slot moved to another node."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.store.keys import Keys
from tests.conftest import OWN_KINDS
from tests.eventually import eventually
from tests.migration import move_at_once, move_by_keys
from tests.process.load import LEASE, QUEUE, goes_on, kept_their_leases, producing, settled, two_workers
from tests.recovery import Recovery
from tests.servers import VALKEY, Server
from tests.topologies import Cluster, slot_of

pytestmark = pytest.mark.slow

SLOT = slot_of(QUEUE)


@pytest.fixture(params=OWN_KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


@pytest.mark.fault("F40", bound_s=10)
async def test_a_killed_owner_is_followed_by_its_replica(cluster: Cluster, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(cluster, tmp_path, **LEASE) as (app, crew):
        async with producing(app) as producer:
            old = cluster.owner_of(SLOT)
            recovery.begins()
            old.kill()
            await goes_on(producer)
            recovery.ends()
        await settled(cluster, app, producer.accepted, most_runs=2)
        assert kept_their_leases(crew)


@pytest.mark.fault("F40", bound_s=10)
async def test_an_owner_replaced_in_good_order_loses_nothing(cluster: Cluster, tmp_path: Path, recovery: Recovery) -> None:
    async with two_workers(cluster, tmp_path, **LEASE) as (app, crew):
        async with producing(app) as producer:
            old = cluster.owner_of(SLOT)
            recovery.begins()
            cluster.replica_of(old).ask("CLUSTER", "FAILOVER")
            await eventually(lambda: cluster.owner_of(SLOT) is not old)
            await goes_on(producer)
            recovery.ends()
        await settled(cluster, app, producer.accepted, most_runs=1)
        assert kept_their_leases(crew)


@pytest.mark.fault("F40", bound_s=10)
@pytest.mark.parametrize("move", [move_by_keys, move_at_once])
async def test_a_slot_that_moves_takes_its_queue_along(
    cluster: Cluster,
    tmp_path: Path,
    recovery: Recovery,
    move: Callable[[Cluster, int, Server, Server], Coroutine[Any, Any, None]],
) -> None:
    if move is move_at_once and not cluster.kind.startswith(VALKEY):
        pytest.skip("a command of Valkey 9")
    async with two_workers(cluster, tmp_path, **LEASE) as (app, crew):
        async with producing(app) as producer:
            source = cluster.owner_of(SLOT)
            target = next(server for server in cluster.nodes[:3] if server is not source)
            await move(cluster, SLOT, source, target)
            await eventually(lambda: cluster.owner_of(SLOT) is target)
            recovery.begins()
            await goes_on(producer)
            recovery.ends()
            assert not source.ask("CLUSTER", "COUNTKEYSINSLOT", str(SLOT))
        await settled(OwnedBy(cluster, target), app, producer.accepted, most_runs=1)
        assert kept_their_leases(crew)


async def test_no_script_runs_on_a_part_of_a_queues_keys(cluster: Cluster, tmp_path: Path) -> None:
    async with two_workers(cluster, tmp_path, **LEASE) as (app, _):
        ids = await app.submit(app.nap, range(20))
        await eventually(lambda: app.runs().total() == 20)
        source = cluster.owner_of(SLOT)
        target = next(server for server in cluster.nodes[:3] if server is not source)
        target.ask("CLUSTER", "SETSLOT", str(SLOT), "IMPORTING", cluster.id_of(source))
        source.ask("CLUSTER", "SETSLOT", str(SLOT), "MIGRATING", cluster.id_of(target))
        moved = [key for key in source.ask("CLUSTER", "GETKEYSINSLOT", str(SLOT), "1000") if key.startswith(Keys(QUEUE).prefix)][::2]
        source.ask("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *moved)
        for node in (source, target):
            node.ask("CONFIG", "RESETSTAT")
        submitted = asyncio.create_task(_answered(app, range(20, 25)))
        await asyncio.sleep(1)

        assert not submitted.done()
        for node in (source, target):
            stats = node.ask("INFO", "commandstats")
            assert all(word not in stats for word in ("cmdstat_hset:", "cmdstat_hgetall:", "cmdstat_xadd:", "cmdstat_zadd:"))
            refused = next((line for line in stats.splitlines() if line.startswith("cmdstat_evalsha:")), "calls=0")
            assert "calls=0" in refused, refused
        await move_by_keys(cluster, SLOT, source, target)
        ids += await submitted
        await settled(OwnedBy(cluster, target), app, ids, most_runs=1)


class OwnedBy:
    """A cluster in which the queue is at a node that a test knows."""

    def __init__(self, cluster: Cluster, owner: Server) -> None:
        self.url = cluster.url
        self.direct_url = owner.url


async def _answered(app: Any, numbers: range) -> list[str]:
    while True:
        try:
            ids: list[str] = await app.submit(app.nap, numbers)
            return ids
        except ConnectionError:
            await asyncio.sleep(0.05)
