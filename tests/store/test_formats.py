"""Data and workers of another format: each role is refused in one line that says what to do, and nothing is written."""

import re
from collections.abc import Awaitable, Callable

import pytest

from runner.connection.client import command
from runner.errors import IncompatibleVersion
from runner.store.data_format import FORMAT, OLDEST_FORMAT
from runner.store.doctor import examine, refuse_unfit_server
from runner.store.finding import Level
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, enlist, ids, interval, job, make_store, publish
from tests.store.inside import all_keys

ROLES: dict[str, Callable[[JobStore], Awaitable[object]]] = {
    "worker": refuse_unfit_server,
    "worker that goes on": lambda store: store.publish({"work": "{}"}, [interval("x")]),
    "producer by name": lambda store: store.submit([job("a", needs=["x"])]),
    "api": refuse_unfit_server,
}


@pytest.mark.parametrize("role", ROLES)
async def test_data_of_an_older_format_is_refused_with_the_remedy(store: JobStore, role: str) -> None:
    await command(store.redis, "HSET", store.keys.format, "newest", OLDEST_FORMAT - 1, "oldest", 1)

    with pytest.raises(IncompatibleVersion) as refused:
        await ROLES[role](store)

    assert str(refused.value) == (
        f"queue '{store.keys.queue}' holds data of format 1, and this version works with format 2 and newer only: use another queue name, "
        f"or stop all that use this queue and delete its keys, {store.keys.prefix}*"
    )
    assert await all_keys(store) == [store.keys.format]


@pytest.mark.parametrize("role", ["worker", "worker that goes on", "api"])
async def test_a_worker_of_an_older_format_that_holds_a_lease_is_named(store: JobStore, clock: Clock, role: str) -> None:
    await command(store.redis, "HSET", store.keys.format, "newest", OLDEST_FORMAT - 1, "oldest", 1)
    await store.enlist("w1", '{"format": 1}')

    with pytest.raises(IncompatibleVersion, match=r"^worker w1 of queue .* has format 1, and .* 2 and newer only: use another queue name"):
        await ROLES[role](store)

    clock.advance(60)
    with pytest.raises(IncompatibleVersion, match="holds data of format 1"):
        await ROLES[role](store)


@pytest.mark.parametrize("role", ROLES)
async def test_a_queue_of_a_newer_format_that_does_not_work_alongside_is_refused(store: JobStore, role: str) -> None:
    await command(store.redis, "HSET", store.keys.format, "newest", FORMAT + 2, "oldest", FORMAT + 1)

    said = f"in use by a newer version of this library (format {FORMAT + 2}), which works alongside format {FORMAT + 1} and newer only"
    with pytest.raises(IncompatibleVersion, match=re.escape(said)):
        await ROLES[role](store)


async def test_the_check_of_a_server_names_it_too(redis_url: str, queue: str, clock: Clock) -> None:
    store = make_store(redis_url, queue, clock)
    try:
        assert [finding.text for finding in await examine(store) if finding.check == "format"] == [f"format {FORMAT}"]
        await command(store.redis, "HSET", store.keys.format, "newest", "1", "oldest", "1")
        (finding,) = [finding for finding in await examine(store) if finding.check == "format"]
        assert (finding.level, finding.text.partition(",")[0]) == (Level.error, f"queue '{queue}' holds data of format 1")
    finally:
        await store.close()


async def test_the_format_before_the_next_works_alongside(store: JobStore) -> None:
    await command(store.redis, "HSET", store.keys.format, "newest", FORMAT + 1, "oldest", FORMAT)
    await publish(store, interval("x"))
    await enlist(store, "w")
    await store.submit([job("a", needs=["x"])])

    assert ids(await claim(store)) == ["a"]
    assert await command(store.redis, "HMGET", store.keys.format, "newest", "oldest") == [b"%d" % (FORMAT + 1), b"%d" % FORMAT]
