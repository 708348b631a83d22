"""Order among lines: by class, turn and time of coming. What a line is called decides nothing, and no line is passed over for ever."""

import pytest

from runner.connection.client import command
from runner.jobs.job import Priority
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, ids, interval, job, publish
from tests.store.inside import scores

CLASS, INSERTIONS, HIGHEST_CLOCK = 2**51, 2**20, 2**30


async def serve(store: JobStore, clock: Clock, starts: int) -> list[str]:
    """The next starts, one a second."""
    served: list[str] = []
    while len(served) < starts:
        clock.advance(1)
        await store.refill()
        started = await claim(store)
        await finish_all(store, started)
        served += ids(started)
    return served


async def exhaust(store: JobStore) -> None:
    await publish(store, interval("x"))
    await store.submit([job("first", needs=["x"])])
    await finish_all(store, await claim(store))


async def test_a_tenant_late_in_the_alphabet_starts_though_newcomers_come_at_the_full_rate(store: JobStore, clock: Clock) -> None:
    await exhaust(store)
    await store.submit([job(f"t{n}", needs=["x"], share=f"m{n:02}") for n in range(20)])
    await store.submit([job("zzz", needs=["x"], share="zzz")])

    served: list[str] = []
    while "zzz" not in served and len(served) < 100:
        await store.submit([job(f"new{len(served)}", needs=["x"], share=f"a{len(served):03}")])
        served += await serve(store, clock, 1)

    assert served == [*(f"t{n}" for n in range(20)), "zzz"]


async def test_lines_with_equal_claims_are_served_in_the_order_they_came(store: JobStore, clock: Clock) -> None:
    await exhaust(store)
    names = ["q", "b", "z", "a", "m", "c"]
    for name in names:
        await store.submit([job(f"{name}{n}", needs=["x"], share=name) for n in range(3)])

    assert await serve(store, clock, 18) == [f"{name}{n}" for n in range(3) for name in names]


async def test_a_high_job_comes_before_all_lines_of_lower_priority(store: JobStore, clock: Clock) -> None:
    await exhaust(store)
    await store.submit([job(f"low{n}", needs=["x"], share=f"t{n}", priority=Priority.low) for n in range(30)])
    await store.submit([job("urgent", needs=["x"], share="zzz", priority=Priority.high)])

    assert (await serve(store, clock, 1)) == ["urgent"]


async def test_lower_classes_have_their_least_share_among_many_lines(store: JobStore, clock: Clock) -> None:
    await exhaust(store)
    for priority in Priority:
        await store.submit(
            [job(f"{priority.name}{n}", needs=["x"], share=f"{priority.name}{n % 4}", priority=priority) for n in range(120)]
        )

    served = [name.rstrip("0123456789") for name in await serve(store, clock, 100)]

    assert served.count("high") in range(88, 93)
    assert served.count("normal") in range(4, 7)
    assert served.count("low") in range(4, 7)


async def test_lines_that_wait_while_the_bucket_is_forgotten_keep_their_order(store: JobStore, clock: Clock) -> None:
    await exhaust(store)
    await store.submit([job(f"{name}{n}", needs=["x"], share=name) for n in range(3) for name in "ba"])
    assert await serve(store, clock, 2) == ["b0", "a0"]
    await command(store.redis, "DEL", store.keys.bucket("x"))

    await store.submit([job("new0", needs=["x"], share="0")])

    assert await serve(store, clock, 5) == ["b1", "a1", "new0", "b2", "a2"]


@pytest.mark.parametrize("lines", [3, 350])
async def test_tags_are_lowered_before_they_grow_too_large_and_the_order_stays(store: JobStore, clock: Clock, lines: int) -> None:
    await exhaust(store)
    await store.submit([job(f"j{n}-{line}", needs=["x"], share=f"t{line:03}") for n in range(3) for line in range(lines)])
    waiting = store.keys.lines_waiting("x")
    for line, score in (await scores(store, waiting)).items():
        await command(store.redis, "ZADD", waiting, score + HIGHEST_CLOCK * INSERTIONS, line)
    await command(store.redis, "HSET", store.keys.bucket("x"), "order", f"0 {HIGHEST_CLOCK} 0 {lines} 0")

    served = await serve(store, clock, lines + 2)
    await store.submit([job("new", needs=["x"], share="0")])
    served += await serve(store, clock, lines + 1)

    assert served == [*(f"j{n}-{line}" for n in range(2) for line in range(lines)), "j2-0", "j2-1", "new"]
    assert max((await scores(store, waiting)).values()) < 2 * CLASS + HIGHEST_CLOCK * INSERTIONS


async def test_weights_decide_how_often_a_line_has_its_turn(store: JobStore, clock: Clock) -> None:
    await exhaust(store)
    for name, weight in (("a", 1), ("b", 2), ("c", 5)):
        await store.submit([job(f"{name}{n}", needs=["x"], share=name, weight=weight) for n in range(60)])

    served = await serve(store, clock, 80)

    for name, weight in (("a", 1), ("b", 2), ("c", 5)):
        assert abs(sum(job_id[0] == name for job_id in served) - 10 * weight) <= 1
