"""Hooks are told of jobs that end without an attempt that ends them: by the worker whose call ended it, once, and whatever they do changes nothing."""

from typing import Any

import pytest

from runner import DeadLetter, Finished, JobFilter, Quota, Runner, TokenBucket
from runner.store import ClaimRequest
from runner.store.job_store import JobStore
from runner.testing import TestQueue
from tests.eventually import PATIENCE_S, eventually
from tests.worker.conftest import Crew, MakeApp

RARE = TokenBucket("rare", rate="1/h", burst=1)


class Told:
    """What the hooks of an app, and those of one task, were told."""

    def __init__(self, app: Runner) -> None:
        self.letters: list[DeadLetter] = []
        self.ends: list[Finished] = []
        app.on_dead_letter(self.letters.append)

        @app.on_finish
        async def note(job: Finished) -> None:
            self.ends.append(job)

    def of(self, job_id: str) -> list[Any]:
        told: list[DeadLetter | Finished] = [*self.letters, *self.ends]
        return [one for one in told if one.id == job_id]


def rare(app: Runner, **options: Any) -> Any:
    @app.task(limits=[RARE], **options)
    async def work() -> None: ...

    return work


@pytest.mark.parametrize("on_expiry", ["fail", "expire"])
async def test_of_a_job_that_has_waited_for_too_long(app: Runner, crew: Crew, on_expiry: str) -> None:
    told, work = Told(app), rare(app, on_expiry=on_expiry)
    await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)

    job = await work.with_options(max_wait=0.3).submit()
    status = await job.wait(PATIENCE_S)
    await eventually(lambda: len(told.of(job.id)) == (2 if on_expiry == "fail" else 1))

    (end,) = [one for one in told.ends if one.id == job.id]
    assert (end.task, end.state, end.attempt, end.ran_s) == ("work", status.state, 0, 0)
    assert 0.3 <= end.waited_s < 10
    assert [(one.id, one.error.type, one.attempts) for one in told.letters] == ([(job.id, "expired", 0)] if on_expiry == "fail" else [])


async def test_of_a_job_that_its_workers_died_of(make_app: MakeApp, crew: Crew, queue: str) -> None:
    app = make_app(max_crashes=1, lease_s=0.6, renew_s=0.2)
    told = Told(app)

    @app.task
    async def deadly() -> None: ...

    own: list[DeadLetter] = []
    deadly.on_dead_letter(own.append)
    lost = JobStore(str(app.settings.redis_url), queue, app.settings)
    await lost.enlist("lost", "{}")
    job = await deadly.submit()
    assert len((await lost.claim("lost", ClaimRequest(1, read_more=True, alone=True))).jobs) == 1
    await lost.close()
    await crew.start(app)

    assert (await job.wait(PATIENCE_S)).error.type == "poison"  # type: ignore[union-attr]
    await eventually(lambda: len(told.of(job.id)) == 2 and own)

    assert (
        [(one.id, one.error.type, one.attempts) for one in told.letters]
        == [(job.id, "poison", 1)]
        == [(one.id, one.error.type, one.attempts) for one in own]
    )
    assert [(one.state, one.attempt, one.ran_s) for one in told.ends] == [("failed", 1, 0)]


async def told_of(told: Told, *job_ids: str) -> list[tuple[str, str, int]]:
    """What hooks were told of these ends, once all have been told of."""
    await eventually(lambda: {one.id for one in told.ends} >= set(job_ids))
    return [(one.task, one.state, one.attempt) for job_id in job_ids for one in told.ends if one.id == job_id]


async def test_of_a_job_that_a_caller_cancelled_while_it_waited(app: Runner, crew: Crew) -> None:
    told, work = Told(app), rare(app)
    await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)
    in_line, delayed = await work.submit(), await work.with_options(delay=3_600).submit()
    for job in (in_line, delayed):
        await job.cancel()
        await job.cancel()

    assert await told_of(told, in_line.id, delayed.id) == [("work", "cancelled", 0)] * 2
    assert told.letters == []


async def test_of_jobs_that_are_cancelled_together(app: Runner, crew: Crew) -> None:
    told, work = Told(app), rare(app)
    await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)
    jobs = [await work.submit() for _ in range(5)]
    bulk = await app.client.bulk.counted((await app.client.bulk.begin("cancel", JobFilter(task="work"))).id)
    await app.client.bulk.confirm(bulk.id, 5)

    assert await told_of(told, *(job.id for job in jobs)) == [("work", "cancelled", 0)] * 5


async def test_of_followers_that_end_with_their_parent(app: Runner, crew: Crew) -> None:
    told = Told(app)

    @app.task(retries=0)
    async def fail() -> None:
        raise ValueError

    @app.task
    async def after() -> None: ...

    await crew.start(app)
    parent = await fail.with_options(delay=0.3).submit()
    follower = await after.after(parent).submit()
    last = await after.after(follower).submit()

    assert await told_of(told, parent.id, follower.id, last.id) == [
        ("fail", "failed", 1),
        ("after", "cancelled", 0),
        ("after", "cancelled", 0),
    ]
    assert [one.id for one in told.letters] == [parent.id]


async def test_of_a_submission_against_a_spent_quota(app: Runner, crew: Crew) -> None:
    told = Told(app)

    @app.task(limits=[Quota("daily", 1, per="day", on_exhausted="fail")])
    async def work() -> None: ...

    await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)
    refused = await work.submit()

    assert await told_of(told, refused.id) == [("work", "failed", 0)]
    await eventually(lambda: [(one.id, one.error.type) for one in told.letters] == [(refused.id, "quota_exhausted")])


async def test_of_what_ended_while_all_workers_were_away(app: Runner, crew: Crew) -> None:
    told, work = Told(app), rare(app)
    gone = await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)
    await crew.stop(gone)
    job = await work.submit()
    await job.cancel()
    await crew.start(app)

    assert await told_of(told, job.id) == [("work", "cancelled", 0)]


async def test_each_is_told_once_though_several_workers_look(make_app: MakeApp, crew: Crew) -> None:
    apps = [make_app() for _ in range(3)]
    works = [(Told(app), rare(app)) for app in apps]
    for app in apps:
        await crew.start(app)
    await (await works[0][1].submit()).result(timeout=PATIENCE_S)
    jobs = [await works[0][1].with_options(max_wait=0.2 + n / 100).submit() for n in range(20)]

    for job in jobs:
        assert (await job.wait(PATIENCE_S)).state == "expired"
    await eventually(lambda: sum(len(told.ends) for told, _ in works) >= 21)

    assert sorted(one.id for told, _ in works for one in told.ends if one.state == "expired") == sorted(job.id for job in jobs)


async def test_an_error_of_theirs_changes_nothing_and_who_lacks_the_task_is_not_told(app: Runner, make_app: MakeApp, crew: Crew) -> None:
    told = Told(app)  # of an app that does not have the task
    other = make_app()
    work = rare(other)

    @other.on_finish
    def broken(job: Finished) -> None:
        raise ValueError(job.id)

    leader = await crew.start(app)
    stranger = await crew.start(other)
    await (await work.submit()).result(timeout=PATIENCE_S)
    assert (await (await work.with_options(max_wait=0.2).submit()).wait(PATIENCE_S)).state == "expired"
    await crew.stop(leader)
    assert (await (await work.with_options(max_wait=0.2).submit()).wait(PATIENCE_S)).state == "expired"

    assert stranger.state.is_working
    assert (told.ends, told.letters) == ([], [])


async def test_in_a_test_queue_too() -> None:
    app: Runner = Runner("ends")
    told, work = Told(app), rare(app, on_expiry="fail", max_wait=60)
    async with TestQueue(app) as queue:
        await work.submit()
        late = await work.submit()
        await queue.run_until_idle()

    assert [(one.id, one.error.type) for one in told.letters] == [(late.id, "expired")]
    assert [(one.state, one.ran_s, one.waited_s) for one in told.ends if one.id == late.id] == [("failed", 0, 60)]
