"""Jobs that many coroutines of one process submit at the same time: they share calls to Redis, and each gets its own answer."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import JobHandle, Runner, StoreUnavailable
from runner.client import Task, session_of
from runner.errors import BacklogFull, InvalidArguments, JobIdConflict
from runner.jobs.job import Priority
from runner.store.keys import Keys
from runner.store.portions import MOST_PER_CALL
from tests.app_internals import publish, store_of
from tests.worker.conftest import Crew, MakeApp

NOBODY = "redis://127.0.0.1:1/0"


def noop(app: Runner) -> Task[[int], int]:
    @app.task
    async def noop(number: int) -> int:
        return number

    return noop


async def stored(redis: Redis, queue: str) -> list[str]:
    """The ids of the ready jobs in the order of the stream."""
    entries: Any = await redis.xrange(Keys(queue).stream(Priority.normal))
    return [fields[b"id"].decode() for _, fields in entries]


async def outcomes(*submissions: "asyncio.Task[JobHandle[int]]") -> list[str]:
    answers = await asyncio.gather(*submissions, return_exceptions=True)
    return [answer.first_state if isinstance(answer, JobHandle) else type(answer).__name__ for answer in answers]


def start(task: Task[[int], int], *ids: str) -> "list[asyncio.Task[JobHandle[int]]]":
    return [asyncio.create_task(task.with_options(id=name).submit(1)) for name in ids]


async def test_they_are_stored_in_their_order_by_few_calls(redis: Redis, queue: str, make_app: MakeApp) -> None:
    app = make_app()
    ids = [f"n{number}" for number in range(200)]
    await publish(app)
    sent: list[int] = []
    submit_each = store_of(app).submit_each
    session_of(app.client)._submissions._call = lambda jobs: (sent.append(len(jobs)), submit_each(jobs))[1]  # type: ignore[func-returns-value]

    assert await outcomes(*start(noop(app), *ids)) == ["queued"] * 200

    assert await stored(redis, queue) == ids
    assert sent == [1, MOST_PER_CALL, 199 - MOST_PER_CALL]


async def test_each_has_its_own_refusal(redis: Redis, queue: str, make_app: MakeApp) -> None:
    app = make_app(max_backlog=4)
    task = noop(app)
    await task.with_options(id="taken").submit(2)
    damaged = Keys(queue).job("damaged")
    await redis.rpush(damaged, "x")
    await redis.expire(damaged, 60)

    submitted = start(task, "a", "b", "taken", "c", "damaged", "d", "a")

    answers = await asyncio.gather(*submitted, return_exceptions=True)
    assert [type(answers[index]) for index in (2, 4, 5)] == [JobIdConflict, JobIdConflict, BacklogFull]
    assert str(answers[5]).endswith("no room for 1 more, submit again later")
    assert await stored(redis, queue) == ["taken", "a", "b", "c"]
    handles = [answers[index] for index in (0, 1, 3, 6)]
    assert all(isinstance(handle, JobHandle) for handle in handles)


async def test_one_that_is_cancelled_leaves_the_others_alone(redis: Redis, queue: str, make_app: MakeApp) -> None:
    for steps in range(12):
        app = make_app()
        await publish(app)
        names = [f"{steps}-{letter}" for letter in "abcde"]
        submitted = start(noop(app), *names)
        for _ in range(steps):
            await asyncio.sleep(0)

        submitted[0].cancel()
        submitted[2].cancel()

        assert await outcomes(submitted[1], submitted[3], submitted[4]) == ["queued"] * 3
        await app.close()
        ready = await stored(redis, queue)
        assert [name for name in ready if name in (names[1], names[3], names[4])] == [names[1], names[3], names[4]]


async def test_every_caller_gets_an_error_while_redis_is_away(make_app: MakeApp) -> None:
    app = make_app(redis_url=NOBODY)
    app._publication._refresh_s = float("inf")
    app._publication._declared = 1

    answers = await asyncio.gather(*start(noop(app), *(f"n{number}" for number in range(20))), return_exceptions=True)

    assert [type(answer) for answer in answers] == [StoreUnavailable] * 20


async def test_arguments_beyond_the_setting_are_refused_and_the_place_of_the_job_is_told(make_app: MakeApp) -> None:
    app = make_app(max_args_bytes=1_000)

    @app.task
    async def keep(text: str) -> None: ...

    await keep.submit("x" * 900)
    with pytest.raises(InvalidArguments, match=r"have 1011 bytes of JSON, and may have 1000 \(max_args_bytes\)"):
        await keep.submit("x" * 1_000)
    with pytest.raises(InvalidArguments) as refused:
        await app.submit_many([keep.prepare("x"), keep.prepare("x" * 1_000)])
    assert refused.value.index == 1


async def test_a_result_beyond_the_setting_is_a_dead_letter(make_app: MakeApp, crew: Crew) -> None:
    app = make_app(max_result_bytes=1_000)

    @app.task(retries=0)
    async def long(length: int) -> str:
        return "x" * length

    await crew.start(app)
    assert await (await long.submit(998)).result(timeout=20) == "x" * 998
    status = await (await long.submit(999)).wait(timeout=20)
    assert (status.state, status.error and status.error.type) == ("failed", "ResultTooLarge")
