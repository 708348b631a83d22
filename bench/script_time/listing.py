"""The worst that lists and counts of jobs can meet: much to look at, and nothing that is asked for."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner.jobs import JobFilter, Within, question_of
from tests.store.builders import fail_all, job


async def _walk(at: Workshop, chosen: JobFilter) -> Act:
    """One page after the other, again from the beginning."""
    question, cursor = question_of(chosen, Within()), b""

    async def act() -> object:
        nonlocal cursor
        page = await at.store.select(question, cursor)
        cursor = page.cursor
        return True

    return act


@worst_case("select", "line")
async def _(at: Workshop) -> Act:
    await at.line("x", at.size)
    return await _walk(at, JobFilter(state="waiting", task="another"))


@worst_case("select", "buckets")
async def _(at: Workshop) -> Act:
    """One job waits at each."""
    await at.buckets("k", at.size // 5)
    return await _walk(at, JobFilter(state="waiting", task="another"))


@worst_case("select", "lines")
async def _(at: Workshop) -> Act:
    """One job waits in each, at one bucket."""
    await at.lines(at.size // 5, "x")
    return await _walk(at, JobFilter(state="waiting", task="another"))


async def _dead(at: Workshop) -> None:
    """Dead letters of many tasks."""
    await at.enlist()
    for part in range(at.size // 2_000):
        await at.submit([job(f"d{part}-{n}", task=f"task-{n}") for n in range(100)])
        await fail_all(at.store, await at.claim(100))


@worst_case("groups", "tasks")
async def _(at: Workshop) -> Act:
    await _dead(at)
    question, cursor = question_of(JobFilter(state="failed"), Within()), b""

    async def act() -> object:
        nonlocal cursor
        page = await at.store.groups(question, cursor)
        cursor = page.cursor
        return True

    return act


@worst_case("counts", "everything")
async def _(at: Workshop) -> Act:
    await at.lines(at.size // 5, "x")
    await at.submit([job(f"s{n}", delay=60) for n in range(at.size // 10)])

    async def act() -> object:
        return (await at.store.counts()).scheduled

    return act


@worst_case("cursor_secret", "again")
async def _(at: Workshop) -> Act:
    async def act() -> object:
        return len(await at.store.cursor_secret())

    return act
