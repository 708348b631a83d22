"""One limit of queues on different servers, its home on a server of its own, under faults: all starts together keep to it, and go on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import NamedTuple, Self

import pytest
from redis import Redis

from runner import TokenBucket
from runner.clock import wall_us
from runner.limits import home_of
from runner.store.keys import Keys
from tests.conftest import OWN_KINDS
from tests.process.sharing import Sharing, sharing_apart
from tests.recovery import Recovery
from tests.servers import Server

pytestmark = [pytest.mark.every_server, pytest.mark.timeout(120)]

LIMIT = TokenBucket("api", rate="100/s", burst=10)
LEASE_US = 2_000_000
AWAY_S = 2.8


@pytest.fixture(params=OWN_KINDS)
def servers(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    """The home's, and those of two queues. Each still knows after a kill what it has answered."""
    with ExitStack() as stack:
        options = {"appendfsync": "always"}
        yield [stack.enter_context(Server(request.param, tcp=True, appendonly=True, options=options)) for _ in range(3)]


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[None]:
    """It stands still meanwhile: nobody is told that it is away."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@asynccontextmanager
async def down(server: Server) -> AsyncIterator[None]:
    """It is killed, and started again."""
    server.kill()
    yield
    await asyncio.to_thread(server.start)


@pytest.mark.fault("F43", bound_s=5)
@pytest.mark.parametrize("away", [stopped, down])
async def test_without_their_home_queues_start_what_they_have_in_hand_and_no_more(
    servers: list[Server], away: Callable[[Server], AbstractAsyncContextManager[None]], recovery: Recovery
) -> None:
    home, *own = servers
    async with sharing_apart(home, own, LIMIT) as shared:
        await shared.progress(50)
        async with away(home):
            from_us = wall_us()
            await asyncio.sleep(AWAY_S)
            until_us = wall_us()
        recovery.begins()
        await both_go_on(shared)
        recovery.ends()
        during = [cost for at_us, cost, _ in await shared.starts() if from_us < at_us < until_us]
        late = [at_us for at_us, _, _ in await shared.starts() if from_us + LEASE_US < at_us < until_us]
        assert sum(during) <= LIMIT.capacity // 2
        assert late == []


@pytest.mark.fault("F43", bound_s=5)
@pytest.mark.parametrize("away", [stopped, down])
async def test_a_queue_whose_server_is_away_holds_up_no_other_and_goes_on_later(
    servers: list[Server], away: Callable[[Server], AbstractAsyncContextManager[None]], recovery: Recovery
) -> None:
    home, *own = servers
    async with sharing_apart(home, own, LIMIT) as shared:
        await shared.progress(50)
        async with away(own[1]):
            from_us = wall_us()
            await asyncio.sleep(AWAY_S)
            until_us = wall_us()
        recovery.begins()
        await both_go_on(shared)
        recovery.ends()
        others = [at_us for at_us, _, _ in await shared.starts([0]) if from_us < at_us < until_us]
        assert len(others) > 0.5 * AWAY_S * 100


@pytest.mark.fault("F43", bound_s=5)
async def test_a_home_that_is_flushed_has_full_buckets_and_no_more(servers: list[Server], recovery: Recovery) -> None:
    home, *own = servers
    async with sharing_apart(home, own, LIMIT) as shared:
        shared.most_excess = 2 * LIMIT.capacity  # each time once more
        for _ in range(2):
            await shared.progress(50)
            home.ask("FLUSHALL")
            recovery.begins()
            await both_go_on(shared)
            recovery.ends()


@pytest.mark.fault("F43", bound_s=5)
async def test_a_home_that_loses_its_last_writes_gives_the_tokens_of_that_time_again_and_no_more(
    servers: list[Server], recovery: Recovery
) -> None:
    """As a replica that was behind, and now serves."""
    home, *own = servers
    async with sharing_apart(home, own, LIMIT) as shared:
        assert shared.limit.shared is not None
        keys = Keys(home_of(shared.limit.shared))
        with Redis(unix_socket_path=str(home.socket)) as client:
            for _ in range(3):
                await shared.progress(50)
                before = State.of(client, keys)
                await asyncio.sleep(0.2)
                shared.most_excess += before.put_back(client, keys)
                recovery.begins()
                await both_go_on(shared)
                recovery.ends()
        assert shared.most_excess > 0


class State(NamedTuple):
    """All keys of a home at an instant, each with its time to live, and what it had given to each queue."""

    keys: dict[bytes, tuple[int, bytes]]
    given: dict[bytes, int]

    @classmethod
    def of(cls, client: Redis, keys: Keys) -> Self:
        names: list[bytes] = list(client.scan_iter(f"{keys.prefix}*", count=1000))
        records = [name for name in names if name.startswith(f"{keys.prefix}lease:api:".encode())]
        with client.pipeline(transaction=True) as pipeline:
            for name in records:
                pipeline.hget(name, "granted")
            for name in names:
                pipeline.pttl(name)
                pipeline.dump(name)
            replies = pipeline.execute()
        given = {name: int(number) for name, number in zip(records, replies, strict=False)}
        rows = zip(names, replies[len(records) :: 2], replies[len(records) + 1 :: 2], strict=True)
        return cls({name: (max(ttl_ms, 0), dump) for name, ttl_ms, dump in rows if dump is not None}, given)

    def put_back(self, client: Redis, keys: Keys) -> int:
        """All is as it was at that instant: how many tokens had been given since."""
        with client.pipeline(transaction=True) as pipeline:
            for name in self.given:
                pipeline.hget(name, "granted")
            pipeline.delete(*client.scan_iter(f"{keys.prefix}*", count=1000))
            for name, (ttl_ms, dump) in self.keys.items():
                pipeline.restore(name, ttl_ms, dump)
            now = pipeline.execute()[: len(self.given)]
        return sum(map(int, now)) - sum(self.given.values())


async def both_go_on(shared: Sharing) -> None:
    for at in range(2):
        await shared.progress(10, of=[at])
