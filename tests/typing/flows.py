"""What the type checkers of users see of jobs that come after others, and of batches: never run, see `tasks`."""

from typing import Any, assert_type

from runner import AsyncTask, Batch, BatchProgress, BlockingJobContext, JobContext, JobHandle, MemberState, Parent, Runner, current_job

jobs = Runner("typing-flows")


@jobs.task
async def fetch(url: str) -> bytes:
    return url.encode()


@jobs.task
async def parse(name: str) -> int:
    parents = await current_job().parents(result=bytes, first=0, most=10)
    assert_type(parents, list[Parent[bytes]])
    assert_type(parents[0].result(), bytes)
    assert_type(parents[0].state, MemberState)
    assert_type(await current_job().parents(), list[Parent[Any]])
    return len(parents)


@jobs.task
def count(job: JobContext) -> int:
    assert_type(job.blocking, BlockingJobContext)
    return len(job.blocking.parents(result=bytes))


async def after_others() -> None:
    fetched = await fetch.submit("https://example.com")
    held = parse.after(fetched, "another-id", [fetched], on_failure="run")
    same: AsyncTask[[str], int] = held
    assert_type(await same("page"), int)
    assert_type(await held.submit("page"), JobHandle[int])
    parse.after(fetched, on_failure="wait")  # type: ignore[arg-type]
    parse.after(17)  # type: ignore[arg-type]
    assert_type(await jobs.chain(fetch.prepare("u"), parse.prepare("page"), on_failure="fail"), list[JobHandle[Any]])


async def together() -> None:
    async with jobs.batch("import-17", then=parse.prepare("report"), size=1_000, on_failure="cancel") as batch:
        assert_type(batch, Batch)
        assert_type(batch.add(fetch.prepare("u")), JobHandle[bytes])
        await batch.flush()
    assert_type(await batch.wait(timeout=60), BatchProgress)
    assert_type(batch.then, JobHandle[Any] | None)
    assert_type((await batch.progress()).has_ended, bool)
    batch.add("u")  # type: ignore[arg-type]
