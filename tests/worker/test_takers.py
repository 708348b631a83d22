"""Takers in line, with and without workers: each gets its token when it lands, waits as long as it said, and leaves nothing behind."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from runner import Concurrency, Runner, Taken, TakeRefused, TokenBucket
from runner.errors import ClientClosed, StoreUnavailable
from runner.jobs import JobStatus
from runner.store import Tended
from runner.store.keys import Keys
from tests.eventually import eventually
from tests.pace import Pace
from tests.proxy import Proxy
from tests.worker.conftest import Crew, MakeApp


async def in_line(redis: Redis, queue: str) -> int:
    """How many stand in all lines."""
    keys = [key async for key in redis.scan_iter(match=Keys(queue).line("*"))]
    return sum([await redis.zcard(key) for key in keys])


def standing(redis: Redis, queue: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def stand() -> bool:
        return await in_line(redis, queue) == count

    return stand


async def test_a_limit_that_is_first_named_after_others_were_used_lets_through(app: Runner) -> None:
    await app.take(TokenBucket("pay", rate="20/s", burst=1))

    async with app.slot(Concurrency("browser", 1), wait=1):
        pass


async def test_limits_that_are_first_named_at_once_all_let_through(app: Runner) -> None:
    async def take(number: int) -> None:
        await asyncio.sleep(0.0001 * number)
        await app.take(TokenBucket(f"pay{number}", rate="1/s", burst=1))

    await asyncio.gather(*(take(number) for number in range(40)))


async def test_tokens_are_handed_over_as_they_land_although_no_worker_serves_the_queue(app: Runner, queue: str, redis: Redis) -> None:
    limit = app.limit(TokenBucket("pay", rate="20/s", burst=1))
    await app.take(limit)
    served: list[tuple[int, float]] = []
    begin_s = time.monotonic()

    async def take(number: int) -> None:
        await app.take(limit, wait=30)
        served.append((number, time.monotonic() - begin_s))

    await asyncio.gather(*(take(number) for number in range(20)))

    assert sorted(number for number, _ in served) == list(range(20))
    assert 0.9 <= served[-1][1] < 5
    assert await in_line(redis, queue) == 0


async def test_those_who_wait_are_served_in_the_order_in_which_they_came(app: Runner, queue: str, redis: Redis) -> None:
    limit = app.limit(TokenBucket("pay", capacity=1, refill=1, every=0.2))
    await app.take(limit)
    served: list[int] = []

    async def take(number: int) -> None:
        await app.take(limit, wait=None)
        served.append(number)

    takers = []
    for number in range(6):
        takers.append(asyncio.create_task(take(number)))
        await eventually(standing_or_served(redis, queue, served, number + 1))
    await asyncio.gather(*takers)
    assert served == list(range(6))


def standing_or_served(redis: Redis, queue: str, served: list[int], count: int) -> Callable[[], Awaitable[bool]]:
    async def arrived() -> bool:
        return await in_line(redis, queue) + len(served) >= count

    return arrived


@pytest.mark.parametrize("led", [False, True])
async def test_a_hundred_takers_of_a_process_cost_a_look_for_each_token_and_none_if_a_worker_leads(
    make_app: MakeApp, crew: Crew, direct_url: str, queue: str, redis: Redis, led: bool
) -> None:
    async with Proxy(direct_url) as proxy:
        if led:
            await crew.start(make_app(block_s=2.0, lease_s=6.0))
        app = make_app(redis_url=proxy.url, block_s=2.0, lease_s=6.0)
        limit = app.limit(TokenBucket("pay", capacity=10, refill=10, every=0.5))
        await app.take(limit, cost=10)
        looks = looks_of(app)
        begin_s = time.monotonic()

        await asyncio.gather(*(app.take(limit, wait=60) for _ in range(60)))

        seconds = time.monotonic() - begin_s
        assert 2.4 <= seconds < 20
        assert len(looks) <= (2 + seconds / 2 if led else 8 + 2.5 * seconds)
        await app.close()


def looks_of(app: Runner) -> list[int]:
    """The number of buckets in each call of `tend` from now on."""
    store, calls = app._session.store, list[int]()
    tend = store.tend

    async def counted(buckets: object, tickets: object = ()) -> object:
        calls.append(len(buckets))  # type: ignore[arg-type] # a sequence
        return await tend(buckets, tickets)  # type: ignore[arg-type] # passed on

    store.tend = counted  # type: ignore[method-assign, assignment] # counts
    return calls


async def test_two_processes_share_the_tokens_in_order_and_exceed_no_bound(make_app: MakeApp, queue: str, redis: Redis) -> None:
    apps = [make_app(), make_app()]
    for app in apps:
        app.limit(TokenBucket("pay", rate="20/s", burst=1))
    await apps[0].take("pay")
    served: list[float] = []

    async def take(app: Runner) -> None:
        await app.take("pay", wait=60)
        served.append(time.monotonic())

    begin_s = time.monotonic()
    await asyncio.gather(*(take(apps[number % 2]) for number in range(30)))

    assert served[-1] - begin_s >= 29 / 20
    assert served[-1] - begin_s < 10


@pytest.mark.parametrize("wait", [0.05, 0.4])
async def test_a_wait_is_as_long_as_it_was_said_to_be(app: Runner, queue: str, redis: Redis, pace: Pace, wait: float) -> None:
    limit = app.limit(TokenBucket("slow", rate="1/hour", burst=1))
    await app.take(limit)
    begin_s, began_s = time.monotonic(), pace.now_s

    with pytest.raises(TakeRefused) as refusal:
        await app.take(limit, wait=wait)

    assert time.monotonic() - begin_s >= wait
    assert pace.now_s - began_s < wait + 0.3
    assert refusal.value.retry_after_s is not None
    assert 3590 < refusal.value.retry_after_s < 3600 - wait
    assert await in_line(redis, queue) == 0


async def test_a_slot_goes_from_holder_to_holder_without_a_worker(make_app: MakeApp, queue: str, redis: Redis) -> None:
    apps = [make_app(), make_app()]
    for app in apps:
        app.limit(Concurrency("gpu", 1))
    inside = most = 0

    async def hold(app: Runner) -> None:
        nonlocal inside, most
        async with app.slot("gpu"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.02)
            inside -= 1

    begin_s = time.monotonic()
    await asyncio.gather(*(hold(apps[number % 2]) for number in range(20)))

    assert most == 1
    assert time.monotonic() - begin_s < 8, "each is told when the one before it leaves"


@pytest.mark.parametrize("led", [False, True])
async def test_a_taker_that_is_cancelled_is_out_of_line_when_that_is_known(
    app: Runner, crew: Crew, queue: str, redis: Redis, led: bool
) -> None:
    limit = app.limit(TokenBucket("slow", rate="1/hour", burst=1))
    if led:
        await crew.start(app)
    await app.take(limit)
    taker = asyncio.create_task(app.take(limit, wait=None))
    await eventually(standing(redis, queue, 1))

    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker

    assert await in_line(redis, queue) == 0
    assert await redis.exists(Keys(queue).expiring) == 0


async def test_a_taker_of_a_slot_that_is_cancelled_as_it_is_served_keeps_nothing(app: Runner, queue: str, redis: Redis) -> None:
    limit = app.limit(Concurrency("gpu", 1))
    async with app.slot(limit):
        taker = asyncio.create_task(app._session.limiter.take([app._need(limit, 1, None)], wait=None, lapse_s=60))
        await eventually(standing(redis, queue, 1))
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker

    async with app.slot(limit, wait=0):
        pass


async def taker_behind(proxy: Proxy, make_app: MakeApp, redis: Redis, queue: str) -> tuple[Runner, asyncio.Task[Taken]]:
    """An app that reaches Redis through this proxy, and a taker of it that stands in line."""
    app = make_app(redis_url=proxy.url, lease_s=1.5, renew_s=0.3)
    limit = app.limit(TokenBucket("slow", rate="1/h", burst=1))
    await app.take(limit)
    taker = asyncio.create_task(app.take(limit, wait=None))
    await eventually(standing(redis, queue, 1))
    return app, taker


async def test_a_cancelled_taker_says_so_while_redis_is_away_and_its_ticket_lapses(
    make_app: MakeApp, direct_url: str, queue: str, redis: Redis
) -> None:
    other = make_app()
    other.limit(TokenBucket("slow", rate="1/h", burst=1))
    async with Proxy(direct_url) as proxy:
        app, taker = await taker_behind(proxy, make_app, redis, queue)
        proxy.black_hole()
        begin_s = time.monotonic()
        taker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taker
        assert time.monotonic() - begin_s < 1.2

        # Whoever comes next finds that the ticket has lapsed, and is first in line.
        async def is_gone() -> bool:
            with pytest.raises(TakeRefused):
                await other.take("slow")
            return await in_line(redis, queue) == 0

        await eventually(is_gone, 10)
        await app.close()
        proxy.heal()


async def test_a_taker_that_loses_redis_waits_on_and_stands_in_line(make_app: MakeApp, direct_url: str, queue: str, redis: Redis) -> None:
    async with Proxy(direct_url) as proxy:
        app, taker = await taker_behind(proxy, make_app, redis, queue)
        proxy.refuse_connections()
        proxy.cut_connections()
        await asyncio.sleep(2.0)  # longer than a lease
        assert not taker.done()
        proxy.heal()
        await app.client.control.override("slow", rate="1/s")
        await asyncio.wait_for(taker, 10)
        await app.close()


async def test_a_wait_for_tokens_ends_in_time_while_redis_is_away(make_app: MakeApp, direct_url: str) -> None:
    async with Proxy(direct_url) as proxy:
        app = make_app(redis_url=proxy.url, command_timeout_s=0.3)
        limit = app.limit(TokenBucket("slow", rate="1/h", burst=2))
        await app.take(limit)
        proxy.refuse_connections()
        proxy.cut_connections()
        begin_s = time.monotonic()

        with pytest.raises(TimeoutError) as ended:
            await app.take(limit, wait=1)

        assert isinstance(ended.value, StoreUnavailable)
        assert isinstance(ended.value.__cause__, StoreUnavailable)
        assert time.monotonic() - begin_s < 1.5
        with pytest.raises(StoreUnavailable) as at_once:
            await app.take(limit)
        assert not isinstance(at_once.value, TimeoutError)
        proxy.heal()
        await app.take(limit, wait=1)
        await app.close()


async def test_a_taker_whose_ticket_lapsed_as_its_process_was_held_up_stands_in_line_anew(
    make_app: MakeApp, queue: str, redis: Redis
) -> None:
    app = make_app(lease_s=0.6, renew_s=0.2)
    limit = app.limit(TokenBucket("pay", capacity=1, refill=1, every=2))
    await app.take(limit)
    store = app._session.store
    tend, held_up = store.tend, asyncio.Event()

    async def silent(*_: object) -> Tended:
        held_up.set()
        return Tended(True, 0, 0, [])

    store.tend = silent  # type: ignore[method-assign, assignment] # says that all is well
    taker = asyncio.create_task(app.take(limit, wait=30))
    await held_up.wait()
    first = await tickets(redis, queue)

    async def another_stands_there() -> bool:
        with pytest.raises(TakeRefused):
            await make_app().take(limit)
        return await tickets(redis, queue) not in ([], first)

    await eventually(another_stands_there)
    store.tend = tend  # type: ignore[method-assign] # as it was
    await taker
    assert await in_line(redis, queue) == 0


async def test_a_slot_that_lapsed_before_its_taker_knew_of_it_is_not_entered(
    make_app: MakeApp, queue: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, other = make_app(lease_s=0.5, renew_s=0.2), make_app()
    for each in (app, other):
        each.limit(Concurrency("gpu", 1))
    listener = app._session.limiter._listener
    wait, served, known = listener.wait, asyncio.Event(), asyncio.Event()

    async def late(job_id: str, timeout_s: float | None) -> JobStatus | None:
        status = await wait(job_id, timeout_s)
        served.set()
        await known.wait()
        return status

    monkeypatch.setattr(listener, "wait", late)
    async with other.slot("gpu"):
        taker = asyncio.create_task(app.slot("gpu").__aenter__())
        await eventually(standing(redis, queue, 1))
    await served.wait()
    async with other.slot("gpu"):  # it has lapsed
        known.set()
        await eventually(standing(redis, queue, 1))
        assert not taker.done()
        taker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taker


async def tickets(redis: Redis, queue: str) -> list[object]:
    return [ticket async for key in redis.scan_iter(match=Keys(queue).line("*")) for ticket in await redis.zrange(key, 0, -1)]


async def test_takers_and_waiters_end_with_the_client_and_a_closed_client_stays_closed(make_app: MakeApp, queue: str, redis: Redis) -> None:
    app = make_app()
    limit = app.limit(TokenBucket("slow", rate="1/hour", burst=1))
    gpu = app.limit(Concurrency("gpu", 1))

    @app.task
    async def work() -> None: ...

    job = await work.submit()
    await app.take(limit)
    slot = app.slot(gpu)
    await slot.__aenter__()
    waits = [
        asyncio.create_task(app.take(limit, wait=None)),
        asyncio.create_task(app.slot(gpu).__aenter__()),
        asyncio.create_task(job.wait()),
    ]
    await eventually(standing(redis, queue, 2))
    client, session = app.client, app._session

    await app.close()
    ends = await asyncio.gather(*waits, return_exceptions=True)

    assert [type(end) for end in ends] == [ClientClosed] * 3
    assert await in_line(redis, queue) == 0
    for call in (client.status(job.id), client.wait(job.id), client.limits(), session.limiter.decide([])):
        with pytest.raises(ClientClosed):
            await call
    assert not any(connection.is_connected for connection in session.store.redis.connection_pool._available_connections)
    await slot.__aexit__(None, None, None)
    await app.take(limit := app.limit(TokenBucket("other", rate="1/s")))  # the app opens another client
    assert (await app.client.control.show(limit.name)).buckets[0].tokens == 0
    await redis.delete(*[key async for key in redis.scan_iter(match=Keys(queue).job(job.id))])
