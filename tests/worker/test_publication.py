"""How an app gets into the catalog: once for a whole process, and in the background from then on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Runner, StoreUnavailable, TokenBucket
from runner.client import Publication
from runner.errors import ConfigurationError
from runner.store import JobStore, Published, Role
from runner.store.keys import Keys
from tests.app_internals import publish, store_of
from tests.eventually import eventually
from tests.worker.conftest import MakeApp


class Catalog:
    """Stands for the store of one loop: counts publications, which take as long as the test says."""

    def __init__(self) -> None:
        self.publications = 0
        self.refreshes = 0
        self.knows = True
        self.slowly: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0.01)

    async def publish(self, *_: Any, **__: Any) -> Published:
        self.publications += 1
        await self.slowly()
        return Published(1, [], [])

    async def refresh(self, *_: Any, **__: Any) -> bool:
        self.refreshes += 1
        await self.slowly()
        return self.knows


def publication(app: Runner, **options: Any) -> Publication:
    @app.task
    async def work() -> None: ...

    return Publication(app.tasks, app.limits, **{"every_s": 60.0, **options})


@pytest.fixture
def catalog(app: Runner) -> Any:
    """Its settings are those of the app's own store."""
    stand_in: Any = Catalog()
    stand_in.settings, stand_in.keys, stand_in.clock = app.settings, Keys(app.queue), None
    return stand_in


async def test_five_hundred_first_submissions_are_one_publication(app: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.task
    async def work(number: int) -> int:
        return number

    calls, publish_now = [], JobStore.publish

    async def noting(store: JobStore, *args: Any, **options: Any) -> Published:
        calls.append(args)
        return await publish_now(store, *args, **options)

    monkeypatch.setattr(JobStore, "publish", noting)

    handles = await asyncio.gather(*(work.submit(number) for number in range(500)))

    assert len({handle.id for handle in handles}) == 500
    assert len(calls) == 1


async def test_three_loops_in_threads_share_one_publication(app: Runner, catalog: Any) -> None:
    shared = publication(app)

    async def submitters() -> None:
        await asyncio.gather(*(shared.keep(catalog) for _ in range(500)))

    catalog.slowly = lambda: asyncio.sleep(0.2)
    await asyncio.gather(*(asyncio.to_thread(asyncio.run, submitters()) for _ in range(3)))

    assert catalog.publications == 1


async def test_a_failure_reaches_all_who_wait_and_the_next_one_tries_again(app: Runner, catalog: Any) -> None:
    shared = publication(app)

    async def away() -> None:
        await asyncio.sleep(0.01)
        raise StoreUnavailable

    catalog.slowly = away
    answers = await asyncio.gather(*(shared.keep(catalog) for _ in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert catalog.publications == 1

    catalog.slowly = lambda: asyncio.sleep(0)
    await shared.keep(catalog)
    assert catalog.publications == 2


async def test_a_refresh_is_awaited_by_nobody_and_publishes_what_the_catalog_lacks(app: Runner, catalog: Any) -> None:
    shared = publication(app, every_s=0.0)
    await shared.keep(catalog)
    await shared.close()
    going_on = asyncio.Event()
    catalog.slowly, catalog.knows = going_on.wait, False
    catalog.refreshes = 0
    shared._refresh_s = 0.0

    async with asyncio.timeout(5):
        await asyncio.gather(*(shared.keep(catalog) for _ in range(100)))
    await eventually(lambda: catalog.refreshes == 1)
    assert catalog.publications == 1

    going_on.set()
    await eventually(lambda: catalog.publications == 2)
    await shared.close()


async def test_a_refresh_while_redis_is_away_harms_nobody(app: Runner, catalog: Any) -> None:
    shared = publication(app, every_s=0.0)
    await shared.keep(catalog)

    async def away() -> None:
        raise StoreUnavailable

    catalog.slowly = away
    shared._refresh_s = 0.0
    await shared.keep(catalog)
    await eventually(lambda: not shared._refreshing)

    assert shared.is_due is False


async def test_what_is_declared_later_is_published_at_the_next_use(app: Runner, redis: Redis, queue: str) -> None:
    @app.task
    async def first() -> None: ...

    await publish(app)

    @app.task(limits=[TokenBucket("rate", rate="1/s")])
    async def second() -> None: ...

    await publish(app)

    assert set(await redis.hkeys(Keys(queue).specs)) == {b"first", b"second"}


async def test_a_refresh_says_what_is_still_declared_and_finds_what_was_lost(app: Runner, redis: Redis, queue: str) -> None:
    @app.task(limits=[TokenBucket("rate", rate="1/s")])
    async def work() -> None: ...

    await publish(app)
    specs, limits = {"work": work.definition.spec.to_json()}, list(app.limits.values())
    store = store_of(app)

    async def is_known() -> bool:
        return await store.refresh(specs, limits, role=Role.producer)

    assert await is_known()
    for key, field in ((Keys(queue).specs, "work"), (Keys(queue).limits, "rate")):
        await redis.hdel(key, field)
        assert not await is_known()
        await app._publication.publish(store)
        assert await is_known()


@pytest.mark.parametrize("revision", [-1, True, "7", 10**14, 1.5])
def test_a_revision_is_a_whole_number(revision: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"queue 'q': revision is .*, and must be a whole number from 0 to 99999999999999"):
        Runner("q", revision=revision)


def test_the_revision_of_the_code_counts_before_that_of_the_environment(make_app: MakeApp) -> None:
    assert make_app(revision=7).revision == 7
    assert make_app().revision == 0
