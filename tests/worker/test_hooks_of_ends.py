"""Hooks are told of jobs that end without an attempt that ends them: by the worker whose call ended it, once, and whatever they do changes nothing."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from runner import DeadLetter, Finished, JobFilter, JobHandle, Quota, Runner, TokenBucket
from runner.store import ClaimRequest
from runner.store.job_store import JobStore
from runner.testing import TestQueue
from tests.eventually import PATIENCE_S, eventually
from tests.worker.conftest import Crew, MakeApp

Queues = Callable[..., TestQueue]

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

    def of_ends(self, jobs: Iterable[JobHandle[Any]]) -> list[tuple[str, str, int]]:
        """What hooks were told of the ends of these, each once."""
        return [(one.task, one.state, one.attempt) for job in jobs for one in self.ends if one.id == job.id]


def rare(app: Runner, **options: Any) -> Any:
    @app.task(limits=[RARE], **options)
    async def work() -> None: ...

    return work


async def test_of_a_job_that_has_waited_for_too_long(app: Runner, crew: Crew) -> None:
    told, work = Told(app), rare(app, on_expiry="fail")
    await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)

    job = await work.with_options(max_wait=0.3).submit()
    status = await job.wait(PATIENCE_S)
    await eventually(lambda: len(told.of(job.id)) == 2)

    (end,) = [one for one in told.ends if one.id == job.id]
    assert (end.task, end.state, end.attempt, end.ran_s) == ("work", status.state, 0, 0)
    assert 0.3 <= end.waited_s < 10
    assert [(one.id, one.error.type, one.attempts) for one in told.letters] == [(job.id, "expired", 0)]


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


async def told_of(told: Told, *jobs: JobHandle[Any]) -> list[tuple[str, str, int]]:
    """What hooks were told of these ends, once all have been told of."""
    await eventually(lambda: {one.id for one in told.ends} >= {job.id for job in jobs})
    return told.of_ends(jobs)


async def test_of_a_job_that_a_caller_cancelled_while_it_waited(app: Runner, crew: Crew) -> None:
    told, work = Told(app), rare(app)
    await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)
    in_line, delayed = await work.submit(), await work.with_options(delay=3_600).submit()
    for job in (in_line, delayed):
        await job.cancel()
        await job.cancel()

    assert await told_of(told, in_line, delayed) == [("work", "cancelled", 0)] * 2
    assert told.letters == []


async def test_of_jobs_that_are_cancelled_together(local_app: Runner, test_queue: Queues) -> None:
    told, work = Told(local_app), rare(local_app)
    async with test_queue(local_app) as queue:
        await (await work.submit()).result()
        jobs = [await work.submit() for _ in range(5)]
        bulk = await local_app.client.bulk.counted((await local_app.client.bulk.begin("cancel", JobFilter(task="work"))).id)
        await local_app.client.bulk.confirm(bulk.id, 5)
        await queue.run_until_idle()

    assert told.of_ends(jobs) == [("work", "cancelled", 0)] * 5


async def test_of_followers_that_end_with_their_parent(local_app: Runner, test_queue: Queues) -> None:
    told = Told(local_app)

    @local_app.task(retries=0)
    async def fail() -> None:
        raise ValueError

    @local_app.task
    async def after() -> None: ...

    async with test_queue(local_app) as queue:
        parent = await fail.with_options(delay=60).submit()
        follower = await after.after(parent).submit()
        last = await after.after(follower).submit()
        await queue.run_until_idle()

    assert told.of_ends([parent, follower, last]) == [
        ("fail", "failed", 1),
        ("after", "cancelled", 0),
        ("after", "cancelled", 0),
    ]
    assert [one.id for one in told.letters] == [parent.id]


async def test_of_a_submission_against_a_spent_quota(local_app: Runner, test_queue: Queues) -> None:
    told = Told(local_app)

    @local_app.task(limits=[Quota("daily", 1, per="day", on_exhausted="fail")])
    async def work() -> None: ...

    async with test_queue(local_app) as queue:
        await work.submit()
        await queue.run_until_idle()
        refused = await work.submit()
        await queue.run_until_idle()

    assert told.of_ends([refused]) == [("work", "failed", 0)]
    assert [(one.id, one.error.type) for one in told.letters] == [(refused.id, "quota_exhausted")]


async def test_of_what_ended_while_all_workers_were_away(app: Runner, crew: Crew) -> None:
    told, work = Told(app), rare(app)
    gone = await crew.start(app)
    await (await work.submit()).result(timeout=PATIENCE_S)
    await crew.stop(gone)
    job = await work.submit()
    await job.cancel()
    await crew.start(app)

    assert await told_of(told, job) == [("work", "cancelled", 0)]


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


@pytest.mark.parametrize(("on_expiry", "state"), [("fail", "failed"), ("expire", "expired")])
async def test_of_it_in_a_test_queue_too(local_app: Runner, test_queue: Queues, on_expiry: str, state: str) -> None:
    told, work = Told(local_app), rare(local_app, on_expiry=on_expiry, max_wait=60)
    async with test_queue(local_app) as queue:
        await work.submit()
        late = await work.submit()
        await queue.run_until_idle()

    assert [(one.id, one.error.type) for one in told.letters] == ([(late.id, "expired")] if on_expiry == "fail" else [])
    assert [(one.state, one.ran_s, one.waited_s) for one in told.ends if one.id == late.id] == [(state, 0, 60)]
