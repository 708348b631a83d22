"""What handlers say of their progress, in Redis: only of the attempt that runs, and nothing for those that say nothing."""

import pytest

from runner.connection.client import command
from runner.jobs import Progress, Reported
from runner.jobs.job import Ending, StartedJob
from runner.store.job_store import JobStore
from tests.store.builders import Clock, claim, crash, finish_all, interval, job, jobs, publish, succeeded
from tests.store.inside import commands

S = 1_000_000


def report(started: StartedJob, done: float, total: float | None = None, note: str = "") -> tuple[str, int, bytes]:
    return started.id, started.attempt, Reported(done, total, note).encoded(started.attempt)


async def seen(store: JobStore, job_id: str = "a") -> Progress | None:
    (status,) = await store.get([job_id])
    assert status is not None
    return status.progress


async def test_the_last_word_of_the_running_attempt_is_told_with_its_instant(store: JobStore, clock: Clock) -> None:
    await store.submit([job("a")])
    (started,) = await claim(store)
    assert await seen(store) is None
    for done in (1, 2.5):
        clock.now_us += S
        await store.progress("w", [report(started, done, 10, 'é\n[,]"')])

    progress = await seen(store)
    assert progress is not None
    assert (progress.done, progress.total, progress.note, progress.fraction) == (2.5, 10, 'é\n[,]"', 0.25)
    assert progress.at == pytest.approx(clock.now_us / S, abs=0.001)


async def test_an_attempt_that_was_lost_is_not_heard(store: JobStore) -> None:
    await store.submit([job("a")])
    (lost,) = await claim(store, worker="v")
    await store.progress("v", [report(lost, 1)])
    await crash(store, "v")
    await store.progress("v", [report(lost, 2)])
    waiting = await seen(store)
    assert waiting is not None
    assert waiting.done == 1, "it stays until another attempt begins"

    (started,) = await claim(store)
    await store.progress("v", [report(lost, 3), report(started, 4)])
    assert await seen(store) is None, "neither the earlier attempt nor another worker is heard"
    await store.progress("w", [report(started, 5)])
    now = await seen(store)
    assert now is not None
    assert now.done == 5


@pytest.mark.parametrize("needs", [[], ["x"]])
@pytest.mark.parametrize("ending", [Ending.succeeded, Ending.failed, Ending.retry])
async def test_the_very_last_word_comes_with_the_outcome_and_stays(store: JobStore, needs: list[str], ending: Ending) -> None:
    await publish(store, interval("x", capacity=9))
    await store.submit([job("a", needs=needs), job("b", needs=needs)])
    outcomes = []
    for one in await claim(store):
        said = Reported(100, 100, "done").encoded(one.attempt) if one.id == "a" else b""
        settled = "x=1" if needs else ""
        outcomes.append(succeeded(one)._replace(ending=ending, payload=b"{}", progress=said, settled=settled))
    assert set(await store.finish("w", outcomes)) == {"accepted"}
    assert set(await store.finish("w", outcomes)) == {"repeated"}
    await store.progress("w", [(one.job.id, 1, Reported(1, None, "late").encoded(1)) for one in outcomes])

    progress = await seen(store)
    assert progress is not None
    assert (progress.done, progress.note) == (100, "done")
    assert await seen(store, "b") is None


async def test_a_job_that_says_nothing_costs_no_command_and_no_field(store: JobStore) -> None:
    calls = list[int]()
    for prefix, said in (("first", False), ("a", False), ("b", True)):
        before = await commands(store)
        await store.submit(jobs(50, prefix))
        started = await claim(store)
        if said:
            outcomes = [succeeded(one)._replace(progress=Reported(1, None, "").encoded(1)) for one in started]
            assert set(await store.finish("w", outcomes)) == {"accepted"}
        else:
            await finish_all(store, started)
        calls.append(await commands(store) - before)

    assert 45 <= calls[2] - calls[1] <= 60  # HSET with its outcome
    assert await command(store.redis, "HEXISTS", store.keys.job("a0"), "progress") == 0


@pytest.mark.parametrize("damage", ["{", "[1,2]", "7", "[1,null,null,null,null]", "null"])
async def test_what_was_damaged_costs_nothing_else(store: JobStore, damage: str) -> None:
    await store.submit([job("a")])
    await claim(store)
    await command(store.redis, "HSET", store.keys.job("a"), "progress", damage)

    (status,) = await store.get(["a"])
    assert status is not None
    assert (status.state, status.progress) == ("running", None)
