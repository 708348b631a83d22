"""What the type checkers of users see of results together: never run, see `tasks`."""

from collections.abc import AsyncIterator
from typing import assert_type

from runner import Completed, Done, JobHandle, Runner, Series
from runner.errors import RunnerError

jobs = Runner("typing")


@jobs.task
async def greet(name: str) -> str:
    return name


@jobs.task
def measure(name: str) -> int:
    return len(name)


async def happened() -> None:
    (series,) = await jobs.client.history("q", step="hour")
    assert_type(series, Series)
    assert_type(series.rows[0].waited.percentile(0.95), float | None)


async def gathered(one: JobHandle[str], two: JobHandle[int], more: list[JobHandle[int]]) -> None:
    assert_type(await jobs.gather((one,)), tuple[str])
    assert_type(await jobs.gather((one, two)), tuple[str, int])
    assert_type(await jobs.gather((one, two, one)), tuple[str, int, str])
    assert_type(await jobs.gather((one, two, one, two)), tuple[str, int, str, int])
    assert_type(await jobs.gather((one, two, one, two, one)), tuple[str, int, str, int, str])
    assert_type(await jobs.gather((one, two), return_exceptions=True), tuple[str | RunnerError, int | RunnerError])
    assert_type(await jobs.gather(more), list[int])
    assert_type(await jobs.gather(more, return_exceptions=True), list[int | RunnerError])
    assert_type(await jobs.gather(handle for handle in more), list[int])
    await jobs.gather([greet])  # type: ignore[arg-type]


async def completed(more: list[JobHandle[int]], text: JobHandle[str]) -> None:
    async for job in jobs.as_completed(more, timeout=60):
        assert_type(job, Completed[int])
        assert_type(job.handle, JobHandle[int])
        assert_type(job.result(), int)
    async for either in jobs.as_completed([*more, text]):
        assert_type(either.handle.id, str)


async def mapped(names: list[str], later: AsyncIterator[dict[str, str]]) -> None:
    async for done in jobs.map(greet, names, id="import-{name}"):
        assert_type(done, Done[str, str])
        assert_type(done.result(), str)
    async for one in jobs.map(
        measure.with_options(priority="low"), later, window=10, id=lambda item: item["name"], ordered=True, cancel=True
    ):
        assert_type(one.item, dict[str, str])
        assert_type(one.result(), int)
    jobs.map("greet", names)  # type: ignore[arg-type]
    jobs.map(greet, 7)  # type: ignore[arg-type]


def plain(names: list[str]) -> None:
    handles = jobs.blocking.submit_many([measure.prepare(name) for name in names])
    assert_type(jobs.blocking.gather(handles), list[int])
    for job in jobs.blocking.as_completed(handles):
        assert_type(job.result(), int)
    for done in jobs.blocking.map(greet, names):
        assert_type(done.item, str)
        assert_type(done.result(), str)
