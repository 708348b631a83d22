"""What becomes of a schedule that is changed, paused or forgotten by its code while others look at it."""

from collections.abc import Callable

from runner.client.schedules import put_of
from runner.jobs import made_by_schedule, make_schedule
from runner.store.job_store import JobStore
from runner.store.schedules import Change, Firing
from runner.worker.ticker import Ticker
from tests.store.builders import Clock, claim, fail_all, finish_all, job
from tests.store.schedule_builders import counts, declare_in_code, made, publish_task, put, stands, tick


async def version_of(store: JobStore, name: str = "s") -> str:
    _, (known,) = await store.known_schedules([name])
    assert known.entry is not None
    return known.entry.version


async def test_what_is_changed_after_a_leader_has_looked_does_not_run_as_it_was(store: JobStore, clock: Clock) -> None:
    """Its instant says so as a rule. Here it is the same, as Redis's clock has gone back meanwhile."""
    await publish_task(store)
    await publish_task(store, "other")
    await put(store, every=10)
    clock.advance(10)

    async def late(compute: Callable[[], list[Firing]]) -> list[Firing]:
        firings = compute()
        clock.advance(-5)
        await put(store, task="other", every=10)
        clock.advance(5)
        return firings

    await Ticker(store, compute=late).tick()
    assert (await made(store), await counts(store)) == ([], (0, 0, 0, 0))

    await tick(store)
    assert [job.task for job in await claim(store)] == ["other"]


async def test_of_two_changes_of_what_both_have_seen_the_second_is_not_made(store: JobStore) -> None:
    now_us, (known,) = await store.known_schedules(["s"])
    first, second = (make_schedule("s", "work", every=every) for every in (10, 20))
    assert await store.change_schedule(put_of(first, first.to_json(), known, now_us))
    for change in (put_of(second, second.to_json(), known, now_us), Change("s", "pause", ""), Change("s", "remove", "")):
        assert not await store.change_schedule(change)
    status = await stands(store)
    assert (status.spec, status.state) == (first, "active")


async def test_what_is_paused_while_it_is_dormant_stays_paused_when_its_code_comes_back(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await declare_in_code(store, every=100, missed="all", overlap="allow")
    clock.advance(100)
    await tick(store)
    assert (await stands(store)).state == "dormant"
    assert await store.change_schedule(Change("s", "pause", await version_of(store)))

    await store.enlist("v", "{}", ["t:work", "s:s"])
    assert await store.drowse() == (0, [])
    await tick(store)

    assert (await stands(store)).state == "paused"
    assert (await made(store), await counts(store)) == ([], (0, 0, 0, 0))


async def test_a_run_that_waits_for_the_one_before_waits_for_the_end_of_a_pause_too(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="queue")
    clock.advance(10)
    await tick(store)
    (first,) = await claim(store)
    clock.advance(10)
    await tick(store)
    assert await store.change_schedule(Change("s", "pause", await version_of(store)))

    await finish_all(store, [first])
    await tick(store)
    assert len(await made(store)) == 1

    assert await store.change_schedule(Change("s", "resume", await version_of(store)))
    await tick(store)
    assert (len(await made(store)), await counts(store)) == (2, (2, 0, 0, 0))


async def test_the_end_of_an_earlier_run_is_not_told_as_that_of_the_latest(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10, overlap="allow")
    started = []
    for _ in range(2):
        clock.advance(10)
        await tick(store)
        started += await claim(store)
    earlier, latest = started
    await finish_all(store, [latest])
    await fail_all(store, [earlier])
    status = await stands(store)
    assert (status.last_job, status.last_state) == (latest.id, "succeeded")


async def test_a_run_by_hand_beside_one_that_goes_on_does_not_take_its_place(store: JobStore, clock: Clock) -> None:
    await publish_task(store)
    await put(store, every=10)
    clock.advance(10)
    await tick(store)
    (first,) = await claim(store)
    assert await store.trigger("s", made_by_schedule(job("s:by-hand-1"), "s")) == "queued"
    await finish_all(store, await claim(store))

    clock.advance(10)
    await tick(store)

    status = await stands(store)
    assert (status.last_job, status.why, await counts(store)) == (first.id, f"skipped: {first.id} had not ended", (1, 0, 1, 0))
