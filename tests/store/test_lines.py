"""Lines: order within one, no job held up by a bucket it does not need, a flood that never passes through the streams."""

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.limits import TokenBucket
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, jobs, publish
from tests.store.inside import all_keys, commands, line_ids, spoken_for, states, stream_ids


async def test_a_line_is_served_in_the_order_of_submission(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit(jobs(6, needs=["x"]))
    served = []
    for _ in range(6):
        served += ids(await claim(store))
        clock.advance(1)

    assert served == [f"j{number}" for number in range(6)]


async def test_within_a_line_higher_priorities_are_served_first(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"))
    await store.submit([job("first", needs=["x"])])
    await store.submit([job(f"{priority.name}{n}", needs=["x"], priority=priority) for n in range(2) for priority in reversed(Priority)])
    served = []
    for _ in range(7):
        served += ids(await claim(store))
        clock.advance(1)

    assert served == ["first", "high0", "high1", "normal0", "normal1", "low0", "low1"]


async def test_an_empty_bucket_holds_up_nobody_who_does_not_need_it(store: JobStore) -> None:
    await publish(store, interval("x", every=3600), interval("y"))
    await store.submit(jobs(50, needs=["x"]))

    assert await store.submit([job("other", needs=["y"]), job("free")]) == ["queued", "queued"]

    assert ids(await claim(store)) == ["j0", "other", "free"]


async def test_one_value_of_a_key_holds_up_no_other(store: JobStore) -> None:
    await publish(store, interval("tenant", every=3600, key="{id}"))
    await store.submit(jobs(50, needs=["tenant/busy"]))

    await store.submit([job("calm", needs=["tenant/calm"])])

    assert ids(await claim(store)) == ["j0", "calm"]


async def test_a_job_that_lacks_one_of_two_tokens_leaves_the_other_to_those_behind_it(store: JobStore) -> None:
    await publish(store, interval("rare", every=3600), interval("common", capacity=5, every=60))
    await store.submit(jobs(3, "both", needs=["rare", "common"]))
    await store.submit(jobs(3, "one", needs=["common"]))

    assert ids(await claim(store)) == ["both0", "one0", "one1", "one2"]


async def test_a_head_of_a_line_that_waits_elsewhere_moves_there_and_the_next_line_is_served(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10), interval("y", every=1000))
    await store.submit([job("use-x", needs=["x"]), job("use-y", needs=["y"])])
    await store.submit([job("both", needs=["x", "y"]), job("both-behind", needs=["x", "y"])])
    await claim(store)
    await store.submit([job("x-alone", needs=["x"])])
    clock.advance(10)

    assert ids(await claim(store)) == ["x-alone"]

    clock.advance(990)
    assert ids(await claim(store)) == ["both"]


async def test_a_costly_head_gathers_its_tokens_and_is_not_passed(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=10, refill=1, every=1))
    await store.submit([job("all", needs=[("x", 10)]), job("big", needs=[("x", 4)]), *jobs(2, needs=["x"])])
    served: list[tuple[int, str]] = []
    for second in range(8):
        served += [(second, name) for name in ids(await claim(store))]
        clock.advance(1)

    assert served == [(0, "all"), (4, "big"), (5, "j0"), (6, "j1")]


async def test_a_costly_line_is_not_starved_by_a_cheap_one(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", capacity=5, refill=1, every=1), interval("y", capacity=1000))
    await store.submit([job(needs=[("x", 5)])])
    await claim(store)
    await store.submit(jobs(100, "cheap", needs=["x"]))
    await store.submit([job("costly", needs=[("x", 5), "y"])])
    served = []
    while "costly" not in served:
        clock.advance(1)
        served += ids(await claim(store))

    assert len(served) <= 3


async def test_a_flood_never_passes_through_the_streams(store: JobStore, clock: Clock) -> None:
    limit = TokenBucket("x", rate="1000/s", burst=500)
    await publish(store, limit)
    flood = jobs(20_000, needs=["x"])
    for at in range(0, 20_000, 500):
        await store.submit(flood[at : at + 500])
        assert len(await stream_ids(store)) <= store.settings.window
    served: list[str] = []
    while len(served) < 20_000:
        started = await claim(store, free=300)
        served += ids(started)
        await finish_all(store, started)
        await store.refill()
        assert len(await stream_ids(store)) <= store.settings.window
        clock.advance(0.25)

    assert served == [f"j{number}" for number in range(20_000)]
    assert await spoken_for(store, "x") == (0, 0)


async def test_work_for_a_start_does_not_grow_with_the_backlog(store: JobStore, clock: Clock) -> None:
    async def commands_for_ten_starts() -> int:
        before = await commands(store)
        for _ in range(10):
            clock.advance(1)
            await store.refill()
            started = await claim(store, free=10)
            assert len(started) == 1
            await finish_all(store, started)
        return await commands(store) - before

    await publish(store, interval("x"))
    await store.submit([job(needs=["x"])])
    await claim(store)
    await store.submit(jobs(50, "few", needs=["x"]))
    with_few = await commands_for_ten_starts()
    await store.submit(jobs(5_000, "many", needs=["x"]))
    with_many = await commands_for_ten_starts()

    assert with_many <= with_few + 3
    assert with_many <= 60 * 10


async def test_drained_lines_leave_only_what_expires_or_is_meant_to_stay(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x"), interval("y"))
    await store.submit([*jobs(5, "a", needs=["x"]), *jobs(5, "b", needs=["x", "y"]), *jobs(5, "c", needs=["y"])])
    served = 0
    while served < 15:
        started = await claim(store)
        await finish_all(store, started)
        served += len(started)
        clock.advance(1)
    await store.refill()

    lasting = [key for key in await all_keys(store) if await command(store.redis, "PTTL", key) == -1]
    named = [
        "catalog",
        "format",
        "history",
        "limits",
        "nudge",
        "seen",
        "seq",
        "stream:high",
        "stream:low",
        "stream:normal",
        "waiting",
        "workers",
    ]
    assert sorted(lasting) == [store.keys.prefix + name for name in named]


async def test_jobs_whose_buckets_are_named_in_another_order_share_a_line(store: JobStore) -> None:
    await publish(store, interval("x", every=60), interval("y", every=60))
    await store.submit([job("a", needs=["x", "y"]), job("b", needs=["y", "x"]), job("c", needs=["x", "y"])])

    assert await states(store, ["a", "b", "c"]) == ["queued", "waiting", "waiting"]
    assert await line_ids(store, "1|x;y") == ["b", "c"]
