"""Bulk: pages that count and act, written together with where they go on; what moved meanwhile, what is skipped, and who may see it."""

import json
from collections import Counter

import pytest

from runner.access import Actor, acting
from runner.connection.client import command
from runner.jobs import BulkAction, BulkPhase, BulkStatus, JobFilter, question_of
from runner.store.answers import BulkAnswer
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, enlist, fail_all, interval, job, jobs, publish, succeeded
from tests.store.inside import all_keys, states

ANN = Actor("cli:ann@web1", door="cli")


async def begin(store: JobStore, action: BulkAction, filter: JobFilter, id: str = "b") -> BulkAnswer:
    wire = json.dumps({**json.loads(question_of(filter)), "states": {str(state): True for state in filter.states or action.states}})
    with acting(ANN):
        return await store.begin_bulk(id, action, wire, filter.document(), reason="too many")


async def read(store: JobStore, id: str = "b") -> BulkStatus:
    stored = await store.read_bulk(id)
    assert stored is not None
    return stored.status


async def work_off(store: JobStore, id: str = "") -> int:
    """Page by page; how many there were."""
    pages = 1
    while (await store.bulk(id)).more:
        pages += 1
    return pages


async def counted(store: JobStore, action: BulkAction, filter: JobFilter) -> int:
    assert await begin(store, action, filter) == "begun"
    await work_off(store)
    status = await read(store)
    assert status.phase is BulkPhase.counted
    return status.counted


async def confirm(store: JobStore, expected: int) -> None:
    with acting(ANN):
        assert await store.confirm_bulk("b", expected) == (BulkPhase.acting, expected)


async def mixture(store: JobStore, clock: Clock) -> None:
    """Jobs in every state: 3 run, 4 have failed, 2 have succeeded, 3 are cancelled, 5 scheduled, 6 queued, 7 wait."""
    await publish(store, interval("x", every=3600))
    await store.submit(jobs(4, "failed"))
    await fail_all(store, await claim(store))
    await store.submit(jobs(2, "good"))
    await store.finish("w", [succeeded(one) for one in await claim(store)])
    await store.submit(jobs(3, "cancelled"))
    for number in range(3):
        await store.cancel(f"cancelled{number}")
    await store.submit(jobs(3, "running"))
    await claim(store)
    await store.submit(jobs(5, "later", delay=60))
    await store.submit(jobs(6, "queued"))
    await store.submit(jobs(8, "lined", needs=["x"]))  # the first has its token


EVERY = JobFilter()
SOME = {
    BulkAction.cancel: (EVERY, 3 + 5 + 6 + 8, {"cancelled": 3 + 5 + 6 + 8, "failed": 4, "succeeded": 2, "running": 3}),
    BulkAction.retry: (EVERY, 4 + 3, {"queued": 6 + 1 + 7, "waiting": 7, "scheduled": 5, "running": 3, "succeeded": 2}),
    BulkAction.delete: (EVERY, 4 + 2 + 3, {"queued": 7, "waiting": 7, "scheduled": 5, "running": 3}),
    BulkAction.purge: (EVERY, 4 + 2 + 3 + 5 + 6 + 8, {"running": 3}),
}


async def census(store: JobStore) -> Counter[str]:
    names = [name for name in await store.job_ids() if (await store.get([name]))[0] is not None]
    return Counter(await states(store, names))


@pytest.mark.parametrize("action", SOME)
async def test_an_act_is_counted_confirmed_and_done(store: JobStore, clock: Clock, action: BulkAction) -> None:
    await mixture(store, clock)
    before = await census(store)
    chosen, number, after = SOME[action]
    assert await counted(store, action, chosen) == number
    assert await census(store) == before, "counting changes nothing"

    await confirm(store, number)
    await work_off(store)

    status = await read(store)
    assert (status.phase, status.counted, status.done, status.skipped) == (BulkPhase.done, number, number, 0)
    if action is BulkAction.cancel:
        after = {**after, "cancelled": 3 + 5 + 6 + 8}
    assert await census(store) == Counter(after)
    lines = [(line.by, line.door, line.action, line.target, line.reason, line.after, line.outcome) for line in await store.audit()]
    assert lines == [
        (ANN.by, "cli", f"{action} many", "bulk b", "too many", f"{number} jobs", ""),
        (ANN.by, "cli", f"{action} many", "bulk b", "too many", "done", f"{number} done, 0 skipped"),
    ]


async def test_another_number_is_not_confirmed(store: JobStore) -> None:
    await store.submit(jobs(3))
    assert await begin(store, BulkAction.cancel, EVERY) == "begun"
    assert await store.confirm_bulk("b", 3) == (BulkPhase.counting, 0)
    await work_off(store)

    assert await store.confirm_bulk("b", 2) == (BulkPhase.counted, 3)
    assert await store.confirm_bulk("nobody", 2) == (None, 2)
    assert await states(store, ["j0", "j1", "j2"]) == ["queued"] * 3
    await confirm(store, 3)
    await confirm(store, 3)
    assert await store.confirm_bulk("b", 2) == (BulkPhase.acting, 3)
    await work_off(store)
    await confirm(store, 3)
    assert [line.action for line in await store.audit()] == ["cancel many"] * 2, "a repetition has no line"


async def test_a_page_is_bounded_and_the_next_goes_on_where_it_ended(store: JobStore) -> None:
    for part in range(4):
        await store.submit(jobs(100, f"part{part}-"))
    number = await counted(store, BulkAction.cancel, EVERY)
    assert number == 400
    await confirm(store, number)

    done = []
    while True:
        page = await store.bulk("b")
        done.append((await read(store)).done)
        if not page.more:
            break

    steps = [later - earlier for earlier, later in zip([0, *done], done, strict=False)]
    assert max(steps) <= 100
    assert len(steps) > 4
    assert done[-1] == 400


async def test_what_moved_meanwhile_is_neither_done_nor_skipped(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(60))
    number = await counted(store, BulkAction.cancel, JobFilter(state="queued"))
    await confirm(store, number)
    await store.bulk("b")
    done = (await read(store)).done
    assert 0 < done < 60
    started = await claim(store, free=5)
    clock.advance(1)
    await store.submit(jobs(5, "new"))
    await work_off(store)

    status = await read(store)
    assert status.done + status.skipped == 60 - len(started)
    assert await states(store, [f"new{n}" for n in range(5)]) == ["queued"] * 5, "they came after the count began"


async def test_what_came_after_the_count_began_is_left_alone(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(60, delay=10))
    number = await counted(store, BulkAction.cancel, JobFilter(state="scheduled"))
    await confirm(store, number)
    await store.bulk("b")
    clock.advance(1)
    await store.submit(jobs(5, "new", delay=60))  # where the walk has not been yet
    await work_off(store)

    assert (await read(store)).done == 60
    assert await states(store, [f"new{n}" for n in range(5)]) == ["scheduled"] * 5


async def test_a_job_that_runs_again_and_fails_again_is_not_met_twice(store: JobStore, clock: Clock) -> None:
    await store.submit(jobs(80))
    await fail_all(store, await claim(store, free=80))
    clock.advance(1)
    number = await counted(store, BulkAction.retry, EVERY)
    await confirm(store, number)
    for _ in range(20):
        if not (await store.bulk("b")).more:
            break
        clock.advance(1)
        await fail_all(store, await claim(store, free=80))

    status = await read(store)
    assert (status.done, status.skipped) == (80, 0)
    ended = [status for status in await store.get([f"j{n}" for n in range(80)]) if status is not None]
    assert max(status.attempt for status in ended) == 2


async def test_damage_of_one_record_holds_up_no_other(store: JobStore) -> None:
    await store.submit(jobs(4))
    await claim(store)
    await command(store.redis, "HDEL", store.keys.job("j2"), "worker")
    number = await counted(store, BulkAction.cancel, EVERY)
    await confirm(store, number)
    await work_off(store)

    status = await read(store)
    assert (number, status.done, status.skipped, status.why) == (4, 3, 1, {"damaged": 1})


async def test_one_that_is_stopped_goes_no_further(store: JobStore) -> None:
    await store.submit(jobs(100))
    number = await counted(store, BulkAction.cancel, EVERY)
    await confirm(store, number)
    await store.bulk("b")

    with acting(ANN):
        assert await store.stop_bulk("b") is BulkPhase.acting
    assert await store.stop_bulk("b") is BulkPhase.stopped
    assert await store.stop_bulk("nobody") is None
    done = (await read(store)).done
    await work_off(store, "b")

    assert (await read(store)).done == done < 100
    assert (await store.audit())[-1].outcome == f"{done} done, 0 skipped"


async def test_ten_can_be_open_and_one_that_nobody_confirms_lapses(store: JobStore, clock: Clock) -> None:
    for number in range(10):
        assert await begin(store, BulkAction.cancel, EVERY, f"b{number}") == "begun"
    assert await begin(store, BulkAction.cancel, EVERY, "b3") == "existing"
    assert await begin(store, BulkAction.cancel, EVERY, "b") == "full"
    await work_off(store)
    clock.advance(3_601)
    await store.bulk()

    assert {one.status.phase for one in await store.list_bulks()} == {BulkPhase.lapsed}
    assert await begin(store, BulkAction.cancel, EVERY) == "begun"
    assert await store.audit() == [], "nothing was done"


async def test_what_is_left_of_one_goes_a_week_after_its_end(store: JobStore, clock: Clock) -> None:
    await counted(store, BulkAction.delete, EVERY)
    await store.stop_bulk("b")
    assert 0 < await command(store.redis, "PTTL", store.keys.bulk("b")) <= 604_800_000
    assert await command(store.redis, "ZCARD", store.keys.bulks) == 1

    await command(store.redis, "DEL", store.keys.bulk("b"))
    clock.advance(8 * 86_400)
    await begin(store, BulkAction.delete, EVERY, "c")
    await store.stop_bulk("c")

    assert [one.status.id for one in await store.list_bulks()] == ["c"]
    assert await command(store.redis, "ZCARD", store.keys.bulks) == 1


async def test_a_record_that_was_damaged_or_deleted_by_hand_stops_nobody(store: JobStore) -> None:
    await begin(store, BulkAction.cancel, EVERY, "gone")
    await command(store.redis, "DEL", store.keys.bulk("gone"))
    await begin(store, BulkAction.cancel, EVERY)
    await command(store.redis, "HSET", store.keys.bulk("odd"), "phase", "acting")

    await command(store.redis, "PEXPIRE", store.keys.bulk("odd"), 60_000)

    assert (await store.bulk()).more is False
    assert (await read(store)).phase is BulkPhase.counted
    assert await store.read_bulk("odd") is None
    await command(store.redis, "DEL", store.keys.bulk("odd"))


async def test_purged_jobs_leave_nothing_but_entries_that_a_claim_drops(store: JobStore) -> None:
    await publish(store, interval("x", every=3600))
    await store.submit([*jobs(3), *jobs(3, "lined", needs=["x"]), job("later", delay=5)])
    await confirm(store, await counted(store, BulkAction.purge, EVERY))
    await work_off(store)
    await enlist(store, "w")

    assert await claim(store) == []

    assert [key for key in await all_keys(store) if ":job:" in key or ":line:" in key] == []


async def test_a_purge_stops_no_job_that_runs(store: JobStore) -> None:
    """Its filter asks for none; one that is asked for all the same goes on."""
    await store.submit(jobs(2))
    await claim(store, free=1)
    await confirm(store, await counted(store, BulkAction.purge, JobFilter(state=("running", "queued"))))
    await work_off(store)

    status = await read(store)
    assert (status.done, status.skipped, status.why) == (1, 1, {"running": 1})
    (runs,) = await store.get(["j0"])
    assert runs is not None
    assert (runs.state, runs.cancel_requested) == ("running", False)
