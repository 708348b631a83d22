"""One limit of several queues on a real cluster, under faults: all starts together keep to it, and go on."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest

from runner import SlidingWindow, TokenBucket
from runner.limits import Limit, home_of
from runner.worker import shared_limits
from tests.conftest import OWN_KINDS
from tests.eventually import eventually
from tests.migration import move_at_once, move_by_keys
from tests.process.sharing import LossyHome, sharing
from tests.recovery import Recovery
from tests.servers import VALKEY, Server
from tests.topologies import Cluster, slot_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SMALL = TokenBucket("api", rate="100/s", burst=10)
MIDDLE = TokenBucket("api", rate="400/s", burst=60)
WINDOW = SlidingWindow("api", 100, per=0.5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(VALKEY) as started:
        yield started


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    with Cluster(VALKEY) as started:
        yield started


@pytest.fixture(params=OWN_KINDS)
def moving_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """One for each kind of server. An owner of no slot stays what it is, and does not copy another one."""
    with Cluster(request.param, options={"cluster-allow-replica-migration": "no"}) as started:
        yield started


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> type[LossyHome]:
    """The way of all leaders to their home; each test says what becomes of it."""

    class Way(LossyHome):
        pass

    monkeypatch.setattr(shared_limits, "Home", Way)
    return Way


@pytest.mark.parametrize("limit", [SMALL, MIDDLE, WINDOW], ids=["small burst", "larger burst", "window"])
async def test_queues_on_several_servers_use_a_shared_limit_to_the_full(cluster: Cluster, limit: Limit) -> None:
    async with sharing(cluster, limit) as shared:
        await shared.progress(300)
        found = await shared.starts()
        assert {at for *_, at in found} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "other", [TokenBucket("tokens", rate="5500/s", burst=1_000), TokenBucket("tokens", rate="600/s", burst=100)], ids=["near", "less"]
)
async def test_queues_on_several_servers_use_two_limits_of_one_account_without_locking_up(cluster: Cluster, other: TokenBucket) -> None:
    """Of the second one a job takes more than half of the bucket, or the tokens of a hand that is as large as those of the others together."""
    async with sharing(cluster, SMALL, other=other) as shared:
        await shared.progress(100)
        found = await shared.starts()
        assert {at for *_, at in found} == {0, 1, 2, 3}


async def test_calls_that_are_lost_exceed_neither_of_two_limits(cluster: Cluster, lossy: type[LossyHome]) -> None:
    lossy.loss, lossy.late_s, lossy.deaf = 0.1, 0.05, 0.3
    async with sharing(cluster, SMALL, queues=3, workers=2, other=TokenBucket("tokens", rate="5500/s", burst=1_000)) as shared:
        await shared.progress(100)
        for worker, _ in shared.workers:
            actors = worker._actors
            if actors is not None and actors.refill_loop.leads:
                await actors.refill_loop._resign()
        await shared.progress(100)


async def test_leaders_that_stop_between_any_two_calls_exceed_no_shared_limit(cluster: Cluster) -> None:
    async with sharing(cluster, SMALL, queues=3, workers=2) as shared:
        for _ in range(8):
            await shared.progress(20)
            for worker, _ in shared.workers:
                actors = worker._actors
                if actors is not None and actors.refill_loop.leads and random.random() < 0.5:
                    await actors.refill_loop._resign()
        await shared.progress(50)


async def test_two_leaders_of_each_queue_exceed_no_shared_limit(cluster: Cluster) -> None:
    async with sharing(cluster, SMALL, queues=3, workers=2) as shared:
        await shared.progress(20)
        others = [
            asyncio.create_task(worker._actors.refill_loop.shared_limits.run(lambda: None))  # type: ignore[union-attr]
            for worker, _ in shared.workers
            if worker._actors is not None and not worker._actors.refill_loop.leads
        ]
        assert others
        await shared.progress(300)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize("limit", [MIDDLE, WINDOW], ids=["bucket", "window"])
async def test_calls_that_are_lost_or_late_exceed_no_shared_limit(cluster: Cluster, lossy: type[LossyHome], limit: Limit) -> None:
    lossy.loss, lossy.late_s = 0.1, 0.05
    async with sharing(cluster, limit) as shared:
        await shared.progress(600)


async def test_pushes_that_are_lost_only_delay_a_start(cluster: Cluster, lossy: type[LossyHome]) -> None:
    lossy.deaf = 1.0
    async with sharing(cluster, SMALL) as shared:
        await shared.progress(150)


async def test_queues_whose_jobs_are_gone_and_come_back_exceed_no_shared_limit(cluster: Cluster) -> None:
    async with sharing(cluster, SMALL) as shared:
        for pause_s in (0.05, 0.4, 2.5):
            await shared.progress(30)
            for app in shared.apps:
                await app.client.pauses.pause("task", "work")
            await asyncio.sleep(pause_s)
            for app in shared.apps:
                await app.client.pauses.resume("task", "work")
        await shared.progress(50)


async def test_servers_that_stand_still_exceed_no_shared_limit(cluster: Cluster) -> None:
    async with sharing(cluster, MIDDLE, queues=3) as shared:
        for server, pause_s in zip(cluster.nodes[:3], (0.2, 0.4, 0.3), strict=True):
            await shared.progress(60)
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.sleep(pause_s)
            os.kill(server.pid, signal.SIGCONT)
        await shared.progress(100)


async def test_the_home_killed_stops_a_shared_limit_until_its_replica_leads(own_cluster: Cluster) -> None:
    async with sharing(own_cluster, SMALL, queues=3) as shared:
        await shared.progress(60)
        scope = shared.limit.shared
        assert scope is not None
        own_cluster.owner_of(slot_of(home_of(scope))).kill()
        await shared.progress(60, of=[0, 2])


async def test_a_queue_whose_server_is_killed_holds_up_no_other(own_cluster: Cluster) -> None:
    async with sharing(own_cluster, SMALL, queues=3) as shared:
        await shared.progress(60)
        own_cluster.owner_of(slot_of(shared.apps[2].queue)).kill()
        await shared.progress(100, of=[0, 1])


@pytest.mark.fault("F43", bound_s=10)
@pytest.mark.parametrize("move", [move_by_keys, move_at_once])
async def test_slots_that_move_take_the_home_and_the_queues_of_a_shared_limit_along(
    moving_cluster: Cluster, move: Callable[[Cluster, int, Server, Server], Coroutine[Any, Any, None]], recovery: Recovery
) -> None:
    """First that of the home and of a queue, then that of another queue, while all three are at work."""
    if move is move_at_once and not moving_cluster.kind.startswith(VALKEY):
        pytest.skip("a command of Valkey 9")
    async with sharing(moving_cluster, SMALL, queues=3) as shared:
        await shared.progress(60)
        assert shared.limit.shared is not None
        target = moving_cluster.nodes[0]
        for slot in (slot_of(home_of(shared.limit.shared)), slot_of(shared.apps[2].queue)):
            await move(moving_cluster, slot, moving_cluster.owner_of(slot), target)
            await eventually(partial(_owns, moving_cluster, slot, target))
            recovery.begins()
            for at in range(3):
                await shared.progress(20, of=[at])
            recovery.ends()
        assert {at for *_, at in await shared.starts()} == {0, 1, 2}


def _owns(cluster: Cluster, slot: int, server: Server) -> bool:
    return cluster.owner_of(slot) is server
