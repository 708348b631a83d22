"""line and buckets: who waits at a bucket, in the order in which they are served, and where jobs of a limit wait."""

import pytest

from runner.jobs import Priority
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, finish_all, interval, job, jobs, publish


async def test_a_line_is_told_in_the_order_in_which_it_is_served(store: JobStore, clock: Clock) -> None:
    await publish(store, interval("x", every=10))
    await store.submit([job("first", needs=["x"]), *jobs(3, "a", needs=["x"], share="a"), *jobs(3, "b", needs=["x"], share="b")])
    await store.submit([job("low", needs=["x"], priority=Priority.low), job("high", needs=["x"], priority=Priority.high)])
    started = await claim(store)
    clock.advance(2)

    line = await store.line("x", 0, 100)

    assert [one.id for one in started] == ["first"]
    assert (line.total, line.total_is_estimate, line.next, line.bucket) == (8, False, None, "x")
    assert [one.place for one in line.jobs] == list(range(1, 9))
    assert [one.eta_s for one in line.jobs] == sorted(one.eta_s or 0.0 for one in line.jobs), "as it is told of each by its status"
    assert line.jobs[0].eta_s == 8.0
    assert {one.waited_s for one in line.jobs} == {2.0}
    assert {(one.task, one.cost, one.key) for one in line.jobs} == {("work", 1, None)}
    served: list[str] = []
    while len(served) < len(line.jobs):
        await finish_all(store, started)
        clock.advance(10)
        await store.refill()
        started = await claim(store)
        served += [one.id for one in started]
    least = served.index("low")
    assert [one for one in served if one != "low"] == [one.id for one in line.jobs if one.id != "low"], (
        f"low came at {least} by its least share"
    )


async def test_a_line_is_told_in_parts(store: JobStore) -> None:
    await publish(store, interval("k", every=100, key="{k}"))
    await store.submit(jobs(25, needs=[("k/t1", 1)]))

    first, second, third = [await store.line("k/t1", after, 10) for after in (0, 10, 20)]

    assert [part.next for part in (first, second, third)] == [10, 20, None]
    assert [one.place for part in (first, second, third) for one in part.jobs] == list(range(1, 25))
    assert [one.id for part in (first, second, third) for one in part.jobs] == [f"j{n}" for n in range(1, 25)]
    assert {one.key for one in first.jobs} == {"t1"}
    assert (await store.line("k/t1", 1_000, 10)).jobs == ()
    assert (await store.line("nobody", 0, 10)).jobs == ()


async def test_of_very_many_lines_only_what_is_known_of_the_order_is_told(store: JobStore) -> None:
    await publish(store, interval("x", every=100))
    await store.submit([job(needs=["x"]), *(job(needs=["x"], share=f"t{n}") for n in range(300) for _ in range(3))])

    line = await store.line("x", 0, 500)

    assert abs(line.total - 900) <= 180
    assert len({one.id for one in line.jobs}) == len(line.jobs) > 0
    assert [one.place for one in line.jobs] == list(range(1, len(line.jobs) + 1))


async def test_the_buckets_of_a_limit_come_with_those_first_where_most_wait(store: JobStore, clock: Clock) -> None:
    await store.submit([job(needs=[f"k/t{n}"]) for n in range(12) for _ in range(n + 1)])
    await publish(store, interval("k", every=10, key="{k}"))
    clock.advance(3)

    page = await store.waiting_buckets("k", most=5)

    assert (page.total, page.matched, page.next) == (12, 12, "-")
    assert [(one.bucket, one.waiting) for one in page.buckets] == [(f"k/t{n}", n + 1) for n in (11, 10, 9, 8, 7)]
    assert page.buckets[0].clears_in_s is not None
    by_name: str | None = "-"
    names: list[str] = []
    while by_name is not None:
        following = await store.waiting_buckets("k", after=by_name, most=5)
        names += [one.bucket for one in following.buckets]
        by_name = following.next
    assert names == sorted(f"k/t{n}" for n in range(12))


@pytest.mark.parametrize(("beginning", "found"), [("t1", ["k/t1", "k/t10", "k/t11"]), ("t7", ["k/t7"]), ("u", [])])
async def test_buckets_are_found_by_the_beginning_of_their_keys(store: JobStore, beginning: str, found: list[str]) -> None:
    await store.submit([job(needs=[f"k/t{n}"]) for n in range(12)])
    await publish(store, interval("k", every=10, key="{k}"))

    page = await store.waiting_buckets("k", beginning)

    assert ([one.bucket for one in page.buckets], page.matched, page.total, page.next) == (found, len(found), 12, None)
