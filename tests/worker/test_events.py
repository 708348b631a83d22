"""Events and changes as a program reads them: it goes on from the last one, and follows a job to its end."""

from contextlib import aclosing

import pytest

from runner import Client, JobStatus, Runner, UnknownJob
from runner.errors import InvalidOption
from tests.worker.conftest import Crew
from tests.worker.test_event_loops import Greet, greet

__all__ = ["greet"]


async def test_ends_are_read_in_order_and_again_from_any_of_them(app: Runner, greet: Greet, crew: Crew) -> None:
    client = app.client
    before = await client.latest_event()
    await crew.start(app)
    jobs = [await greet.submit(name) for name in "abc"]
    for job in jobs:
        await job.result(timeout=30)
    found = []
    async with aclosing(client.events(before)) as events:
        async for event in events:
            found.append(event)
            if len(found) == 3:
                break
    assert {event.job_id for event in found} == {job.id for job in jobs}
    assert {(event.task, event.state, event.attempt, event.missed) for event in found} == {("greet", "succeeded", 1, False)}
    assert await client.latest_event() == found[-1].id
    status = await client.status(found[0].job_id)
    assert status.finished_at is not None
    assert abs(found[0].at - status.finished_at) < 1
    async with aclosing(client.events(found[0].id)) as events:
        assert [await anext(events), await anext(events)] == found[1:]


async def test_a_job_is_followed_to_its_end(app: Runner, greet: Greet, crew: Crew) -> None:
    job = await greet.with_options(delay=0.2).submit("a")
    await crew.start(app)
    changes: list[JobStatus] = [status async for status in job.changes()]
    assert (changes[0].state, changes[-1].state) == ("scheduled", "succeeded")
    assert len({status.version for status in changes}) == len(changes)
    assert all(status.result is None for status in changes)
    assert changes[-1].version == (await job.status()).version


async def test_what_cannot_be_followed_is_refused(app: Runner, redis_url: str, queue: str) -> None:
    async with Client(queue, redis_url=redis_url) as client:
        assert await client.latest_event() == "0-0"
        with pytest.raises(UnknownJob, match="'nothing'"):
            await anext(client.job("nothing").changes())
        with pytest.raises(InvalidOption, match="event id"):
            client.events("yesterday")
