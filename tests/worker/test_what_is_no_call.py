"""A caller who gives something else than a task, arguments, an id or requests is told what is wanted; nothing is stored, and who calls beside him is served."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import JobOptions, JobRequest, Runner
from runner.errors import InvalidArguments, InvalidJobId, InvalidOption, UnknownTask
from runner.store.keys import Keys

NO_TEXTS: list[Any] = ["\ud800", "a\nb", None, b"work", 3.5, ["work"], {}, object()]


def work_of(app: Runner) -> Any:
    @app.task
    async def work(number: int = 1) -> None: ...

    return work


@pytest.mark.parametrize("name", NO_TEXTS)
async def test_what_is_no_name_of_a_task_is_an_unknown_one(app: Runner, name: Any) -> None:
    await work_of(app).submit()

    before, refused, after = await asyncio.gather(*(app.client.submit(task, {}) for task in ("work", name, "work")), return_exceptions=True)

    assert isinstance(refused, UnknownTask)
    assert ("is no name of a task" in str(refused)) == (name != "a\nb")
    assert not isinstance(before, BaseException)
    assert not isinstance(after, BaseException)


@pytest.mark.parametrize("args", [None, [1], "number", 3, {1}, object()])
async def test_arguments_are_given_by_name(app: Runner, redis: Redis, queue: str, args: Any) -> None:
    await (await work_of(app).submit()).cancel()
    with pytest.raises(InvalidArguments, match=r"task 'work': its arguments are .*: give them by name"):
        await app.client.submit("work", args)
    with pytest.raises(InvalidArguments) as refused:
        await app.client.submit_many([JobRequest("work", {}), JobRequest("work", args)])
    assert refused.value.index == 1
    assert len(await redis.keys(Keys(queue).job("*"))) == 1


@pytest.mark.parametrize("job_id", NO_TEXTS)
async def test_what_is_no_id_is_refused_when_it_is_asked_for(app: Runner, job_id: Any) -> None:
    with pytest.raises(InvalidJobId):
        await app.client.status(job_id)
    with pytest.raises(InvalidJobId):
        await app.client.wait(job_id, timeout=1)


async def test_many_jobs_come_from_anything_that_can_be_gone_through(app: Runner) -> None:
    work = work_of(app)
    assert len(await app.submit_many(work.prepare(number) for number in range(3))) == 3
    for wrong in ("abc", [work], [1], [None]):
        with pytest.raises(InvalidOption, match=r"a job is .*: give jobs made by prepare"):
            await app.submit_many(wrong)  # type: ignore[arg-type] # the fault under test
    for wrong in ("abc", [{"task": "work", "args": {}}], [3], [("work", {})]):
        with pytest.raises(InvalidOption, match=r"a request is .*: give JobRequest\(task, args\)") as refused:
            await app.client.submit_many(wrong)  # type: ignore[arg-type] # the fault under test
        assert refused.value.index == 0


@pytest.mark.parametrize("priority", [0, "", [], False, "hihg"])
async def test_a_priority_that_is_none_is_not_taken_for_the_usual_one(app: Runner, priority: Any) -> None:
    work = work_of(app)
    with pytest.raises(InvalidOption, match=r"priority .* is unknown \(known: high, normal, low\)"):
        await work.with_options(priority=priority).submit()
    await work.submit()
    with pytest.raises(InvalidOption, match="priority"):
        await app.client.submit("work", {}, JobOptions(priority=priority))
