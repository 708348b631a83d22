"""Tags: jobs are found by them as long as their records have them, and what is gone leaves."""

from typing import Any

from runner.connection.client import command
from runner.jobs import JobFilter, Within, question_of
from runner.jobs.submission import Submission
from runner.store.job_store import JobStore
from runner.store.statuses import Depth
from tests.store.builders import Clock, claim, fail_all, finish_all, job, unique
from tests.store.inside import scores

EVERYWHERE = Within()
MONTH_MS = 30 * 86_400_000


def tagged(job_id: str, tags: str, **fields: Any) -> Submission:
    return job(job_id, **fields)._replace(has_call=3, features=f'{{"tags":"{tags}"}}')


async def found(store: JobStore, tag: str, within: Within = EVERYWHERE, page: int = 500, **chosen: Any) -> list[str]:
    question, cursor, ids = question_of(JobFilter(tag=tag, **chosen), within), b"", list[str]()
    while True:
        selected = await store.select(question, cursor, examined=page)
        ids += selected.ids
        cursor = selected.cursor
        if not cursor:
            return ids


async def members(store: JobStore, tag: str) -> list[str]:
    return sorted(await scores(store, store.keys.tag(tag)))


async def test_jobs_are_found_by_a_tag_in_any_state_the_latest_first(store: JobStore, clock: Clock) -> None:
    for name in "abcd":
        await store.submit([tagged(name, "x y" if name == "b" else "x")])
        clock.advance(1)
    await store.submit([tagged("late", "x", delay=60), job("plain")])
    (first, second, *_) = await claim(store, free=2)
    await finish_all(store, [first])
    await fail_all(store, [second])

    for page in (1, 2, 500):
        assert await found(store, "x", page=page) == ["late", "d", "c", "b", "a"]
    assert await found(store, "x", oldest_first=True) == ["a", "b", "c", "d", "late"]
    assert await found(store, "y") == ["b"]
    assert await found(store, "z") == await found(store, "xy") == []
    assert await found(store, "x", state="succeeded") == ["a"]
    assert await found(store, "x", state=("failed", "scheduled")) == ["late", "b"]
    (status,) = await store.get(["b"], Depth.listed)
    assert status is not None
    assert status.tags == ("x", "y")


async def test_a_tag_finds_the_jobs_of_a_caller_alone(store: JobStore) -> None:
    await store.submit([tagged("a", "x"), tagged("t7/b", "x"), tagged("t8/c", "x")])

    assert await found(store, "x", Within("t7/", shared=False)) == ["t7/b"]
    assert await found(store, "x", Within("", shared=False)) == ["a"]
    assert sorted(await found(store, "x")) == ["a", "t7/b", "t8/c"]


async def test_what_has_no_record_or_another_one_is_dropped_as_it_is_met(store: JobStore, clock: Clock) -> None:
    for name in "abcde":
        await store.submit([tagged(name, "x")])
        clock.advance(1)
    await command(store.redis, "DEL", store.keys.job("b"), store.keys.job("d"), store.keys.job("e"))
    await store.submit([tagged("d", "other")])

    assert await found(store, "x", page=1) == ["c", "a"]
    assert await members(store, "x") == ["a", "c"]
    assert await found(store, "other") == ["d"]


async def test_a_tag_that_nobody_lists_is_no_larger_than_twice_its_jobs_or_so(store: JobStore) -> None:
    for number in range(600):
        await store.submit([tagged(f"j{number}", "x")])
        if number >= 10:
            await command(store.redis, "DEL", store.keys.job(f"j{number - 10}"))

    assert 10 <= len(await members(store, "x")) < 100


async def test_a_tag_is_kept_for_a_month_from_its_last_submission(store: JobStore) -> None:
    await store.submit([tagged("a", "x")])
    key = store.keys.tag("x")
    assert MONTH_MS - 60_000 < await command(store.redis, "PTTL", key) <= MONTH_MS
    await command(store.redis, "PEXPIRE", key, "1000")
    await store.submit([tagged("a", "x")])
    assert await command(store.redis, "PTTL", key) <= 1000, "it is the job that is there"
    await store.submit([tagged("b", "x")])
    assert await command(store.redis, "PTTL", key) > MONTH_MS - 60_000


async def test_a_deleted_job_leaves_its_tags(store: JobStore) -> None:
    await store.submit([tagged("a", "x y"), tagged("b", "x")])
    await finish_all(store, await claim(store))
    await store.delete("a")

    assert (await members(store, "x"), await members(store, "y")) == (["b"], [])


async def test_a_replaced_job_has_the_tags_and_metadata_of_the_latest(store: JobStore) -> None:
    def asked(name: str, tags: str, metadata: str) -> Submission:
        made = unique(name, duplicate="replace", delay=60)
        return made._replace(features=made.features[:-1] + (f',"tags":"{tags}"}}' if tags else "}"), metadata=metadata)

    await store.submit([asked("a", "x y", '{"n":1}')])
    await store.submit([asked("b", "y z", '{"n":2}')])
    assert [await found(store, tag) for tag in "xyz"] == [[], ["a"], ["a"]]
    (status,) = await store.get(["a"], Depth.status)
    assert status is not None
    assert (status.tags, status.metadata) == (("y", "z"), {"n": 2})
    await store.submit([asked("c", "", "")])
    assert [await members(store, tag) for tag in "xyz"] == [[], [], []]
    (status,) = await store.get(["a"], Depth.status)
    assert status is not None
    assert (status.tags, status.metadata) == ((), {})


async def test_a_key_of_another_type_costs_no_submission(store: JobStore) -> None:
    key = store.keys.tag("x")
    await command(store.redis, "RPUSH", key, "a")
    assert await store.submit([tagged("a", "x y")]) == ["queued"]
    assert await found(store, "y") == ["a"]
    await command(store.redis, "DEL", key)
