"""Schedules with real workers: declared in code, added at run time, and fired by whoever leads or stands by."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from runner import ConfigurationError, JobFilter, JobOptions, NewJob, Runner, TokenBucket, Unique, current_job
from runner.client import Publication, schedules_of
from runner.errors import DuplicateJob, InvalidArguments, InvalidOption, InvalidSchedule, ScheduleConflict, UnknownSchedule, UnknownTask
from runner.store import Role
from runner.testing import TestQueue
from tests.app_internals import publish, store_of
from tests.eventually import eventually
from tests.worker.conftest import Crew, MakeApp


async def test_what_the_code_declares_runs_by_itself(app: Runner, crew: Crew) -> None:
    ran: list[str] = []

    @app.every(1, args={"word": "code"})
    @app.task(limits=[TokenBucket("api", rate="100/s", burst=10)])
    async def say(word: str) -> None:
        ran.append(word)

    await crew.start(app)
    await eventually(lambda: len(ran) >= 2)
    (status,) = await app.client.schedules.list()
    assert (status.name, status.in_code, status.state, status.last_state) == ("say", True, "active", "succeeded")
    assert status.made >= 2
    assert (status.skipped, status.refused) == (0, 0)


async def test_what_is_added_at_run_time_runs_and_can_be_stopped(app: Runner, crew: Crew) -> None:
    ran: list[str] = []

    @app.task
    async def say(word: str) -> None:
        ran.append(word)

    await crew.start(app)
    schedules = app.client.schedules
    start = datetime.now(UTC) + timedelta(seconds=0.5)
    await schedules.add("soon", "say", {"word": "run time"}, every=3_600, start=start, options=JobOptions(priority="high"))
    await eventually(lambda: ran == ["run time"])
    assert (await schedules.pause("soon", "enough")).state == "paused"
    job = await schedules.trigger("soon")
    await job.result(timeout=10)
    assert job.id.startswith("soon:by-hand-")
    status = await schedules.show("soon")
    assert (status.last_job, status.made, status.pause_reason) == (job.id, 1, "enough")
    assert (await schedules.resume("soon")).next_at == pytest.approx(start.timestamp() + 3_600)
    await schedules.remove("soon")
    with pytest.raises(UnknownSchedule, match=r"unknown schedule 'soon' .* \(known: none\)"):
        await schedules.show("soon")
    lines = [(line.action, line.target) for line in await app.client.audit()]
    assert lines == [(act, "schedule soon") for act in ("add", "pause", "trigger", "resume", "remove")]


async def test_the_options_of_a_schedule_reach_its_jobs_and_no_hook_of_a_producer_is_called(
    local_app: Runner, test_queue: Callable[..., TestQueue]
) -> None:
    """Whoever leads makes the jobs, by name: there is no producer whose hooks could give them anything."""
    seen: list[tuple[str, dict[str, object]]] = []

    @local_app.on_submit
    def mark(new: NewJob) -> None:
        new.metadata["by"] = "hook"

    chosen = JobOptions(tags=["nightly"], metadata={"source": "clock"}, unique=Unique("{word}", until="start"))

    @local_app.every(60, args={"word": "code"}, name="declared", options=chosen)
    @local_app.task
    async def say(word: str) -> None:
        seen.append((word, current_job().metadata))

    async with test_queue(local_app) as queue:
        await local_app.client.schedules.add("added", "say", {"word": "run time"}, every=60, options=chosen)
        await queue.advance(121)
        found = await local_app.client.jobs(JobFilter(tag="nightly"))
        statuses = await local_app.client.schedules.list()

    assert sorted(word for word, _ in seen) == ["code", "code", "run time", "run time"]
    assert all(metadata == {"source": "clock"} for _, metadata in seen)
    assert {job.id.partition(":")[0] for job in found.jobs} == {"declared", "added"}
    for status in statuses:
        assert status.spec is not None
        assert status.spec.options["unique"] == {"key": "{word}", "until": "start", "duplicate": "return"}


async def test_a_run_by_hand_of_a_unique_task_is_the_job_that_is_there_or_is_refused(app: Runner) -> None:
    @app.task(unique=True)
    async def work() -> None: ...

    await publish(app)
    schedules = app.client.schedules
    await schedules.add("usual", "work", cron="@daily")
    await schedules.add("strict", "work", cron="@daily", options=JobOptions(unique=Unique(duplicate="refuse")))
    first = await schedules.trigger("usual")
    again = await schedules.trigger("usual")
    assert (again.id, again.first_state) == (first.id, "existing")
    with pytest.raises(DuplicateJob) as refused:
        await schedules.trigger("strict")
    assert refused.value.job_id == first.id


async def test_plain_code_has_the_same(app: Runner) -> None:
    @app.task
    async def work() -> None: ...

    await publish(app)

    def use() -> list[str]:
        schedules = app.client.blocking.schedules
        schedules.add("plain", "work", cron="@daily")
        schedules.pause("plain")
        return [schedules.trigger("plain").id, *(status.name for status in schedules.list())]

    job_id, name = await asyncio.to_thread(use)
    assert (job_id.startswith("plain:by-hand-"), name) == (True, "plain")


async def test_what_could_never_run_is_refused_when_it_is_added(app: Runner) -> None:
    @app.task
    async def work(n: int) -> None: ...

    await publish(app)
    schedules = app.client.schedules
    with pytest.raises(UnknownTask):
        await schedules.add("a", "wrok", cron="@daily")
    with pytest.raises(InvalidArguments):
        await schedules.add("a", "work", {"n": "x"}, cron="@daily")
    with pytest.raises(InvalidSchedule, match="step 61"):
        await schedules.add("a", "work", {"n": 1}, cron="*/61 * * * *")
    with pytest.raises(InvalidSchedule, match="ids and their starts"):
        await schedules.add("a", "work", {"n": 1}, cron="@daily", options=JobOptions(delay=5))
    with pytest.raises(InvalidArguments, match="'m'"):
        await schedules.add("a", "work", {"n": 1}, cron="@daily", options=JobOptions(unique="{m}"))
    with pytest.raises(InvalidOption, match="pool"):
        await schedules.add("a", "work", {"n": 1}, cron="@daily", options=JobOptions(pool="a pool"))
    assert await schedules.list() == []


def test_what_could_never_run_is_refused_where_it_is_declared() -> None:
    app = Runner("declared")

    @app.task
    async def work(n: int) -> None: ...

    with pytest.raises(ConfigurationError, match="schedule 'work': its jobs would be refused"):
        app.cron("@daily")(work)
    with pytest.raises(InvalidSchedule, match="tag 'a b' cannot be one"):
        app.cron("@daily", args={"n": 1}, options=JobOptions(tags=["a b"]))(work)
    app.cron("@daily", args={"n": 1})(work)
    with pytest.raises(ConfigurationError, match="schedule 'work' is declared twice on queue 'declared': give name= to one"):
        app.cron("@weekly", args={"n": 1})(work)
    with pytest.raises(ConfigurationError, match=r"put it above or below @jobs\.task"):
        app.every(5)(7)  # type: ignore[type-var] # that is the test


async def test_a_function_that_becomes_no_task_is_found_when_the_app_is_published(app: Runner) -> None:
    @app.every(5)
    async def lost() -> None: ...

    with pytest.raises(ConfigurationError, match=r"a schedule decorates .*lost.*, which is no task: add @jobs.task"):
        await publish(app)


def test_a_schedule_may_stand_above_and_below_its_task() -> None:
    app = Runner("order")

    @app.cron("@daily", name="above")
    @app.task
    @app.every(60, name="below")
    async def work() -> None: ...

    assert sorted(schedules_of(app)) == ["above", "below"]


async def test_of_two_versions_the_one_with_the_higher_revision_counts(app: Runner, make_app: MakeApp) -> None:
    def version(of: Runner, every: int, revision: int) -> Publication:
        @of.every(every)
        @of.task
        async def work() -> None: ...

        return Publication(of.tasks, of.limits, schedules_of(of), role=Role.worker, revision=revision)

    other = make_app()
    new, old = version(app, 60, 2), version(other, 30, 1)
    for each in (old, new, old, new):
        await each.publish(store_of(app))
    (status,) = await app.client.schedules.list()
    assert status.spec is not None
    assert status.spec.words == "every 60 s"


async def test_a_name_that_code_declares_is_changed_there_and_else_paused_and_run(app: Runner) -> None:
    @app.every(3_600)
    @app.task
    async def work() -> None: ...

    await publish(app)
    schedules = app.client.schedules
    with pytest.raises(ScheduleConflict, match="schedule 'work' is declared in code: change it there, or choose another name"):
        await schedules.add("work", "work", every=5)
    assert (await schedules.pause("work")).state == "paused"
    await publish(app)
    assert (await schedules.show("work")).state == "paused"
    await schedules.trigger("work")
    assert (await schedules.resume("work")).state == "dormant"


async def test_twenty_callers_that_add_the_same_schedule_make_one_and_others_one_after_the_other(app: Runner) -> None:
    @app.task
    async def work() -> None: ...

    await publish(app)
    schedules = app.client.schedules
    await asyncio.gather(*(schedules.add("one", "work", every=60) for _ in range(20)))
    lines = [line for line in await app.client.audit() if line.target == "schedule one"]
    assert [line.action for line in lines] == ["add"]
    await asyncio.gather(*(schedules.add("many", "work", every=60 + number) for number in range(20)))
    lines = [line for line in await app.client.audit() if line.target == "schedule many"]
    assert [line.action for line in lines] == ["add"] + ["change"] * 19
    status = await schedules.show("many")
    assert status.spec is not None
    assert status.spec.to_json() == lines[-1].after
