"""What a queue makes of jobs besides running them, in virtual time: unique ones, debounced ones, flows, pauses, deadlines, lists, bulk acts, history."""

from collections.abc import Callable

from runner import Debounce, JobFilter, JobOptions, Runner, Unique, current_job
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]


async def test_one_of_several_jobs_that_are_alike_runs(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(unique=Unique(key="{order}", until=100))
    async def charge(order: str) -> None: ...

    async with test_queue(app) as queue:
        first = await charge.submit("o-17")
        await queue.advance(99)
        assert (await charge.submit("o-17")).id == first.id
        assert (await charge.submit("o-18")).id != first.id
        await queue.advance(1)
        assert (await charge.submit("o-17")).id != first.id


async def test_a_debounced_job_runs_when_calls_have_ceased(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(unique=Debounce(key="{order}", delay=30, max_delay=300))
    async def index(order: str, version: int) -> None: ...

    async with test_queue(app) as queue:
        for version in range(5):
            await index.submit("o-17", version)
            await queue.advance(10)
        await queue.run_until_idle()
        assert [(start.arguments["version"], start.at) for start in queue.starts] == [(4, 70)]


async def test_jobs_come_after_others_and_read_what_these_returned(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def fetch(number: int) -> int:
        return number

    @app.task
    async def total() -> int:
        return sum(parent.result() for parent in await current_job().parents(result=int))

    @app.task(retries=0)
    async def fail() -> None:
        raise ValueError("no")

    async with test_queue(app) as queue:
        parents = [await fetch.with_options(delay=10 * number).submit(number) for number in range(4)]
        late = await total.after(*parents).submit()
        never = await total.after(await fail.submit()).submit()
        assert await late.result() == 6
        await queue.run_until_idle()
        assert (await never.status()).state == "cancelled"
        assert queue.starts[-1][1:4] == ("total", {}, 30)
        ids = [(await job.wait()).state for job in await app.chain(fetch.prepare(1), total.prepare())]
        assert ids == ["succeeded", "succeeded"]


async def test_a_pause_ends_by_the_clock_of_the_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def charge() -> None: ...

    async with test_queue(app) as queue:
        await app.client.pauses.pause("task", "charge", duration=3_600)
        await charge.submit()
        await queue.run_until_idle()
        assert [start.at for start in queue.starts] == [3_600]


async def test_a_deadline_ends_retries_by_the_clock_of_the_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task(retries=None, deadline=3_600)
    async def charge() -> None:
        raise ConnectionError("away")

    async with test_queue(app) as queue:
        usual, short = await charge.submit(), await app.client.submit("charge", {}, JobOptions(deadline=10))
        await queue.run_until_idle()
        for job, seconds in ((usual, 3_600), (short, 10)):
            status = await job.status()
            assert status.error is not None
            assert (status.state, status.error.type) == ("failed", "DeadlineExceeded")
            assert max(start.at for start in queue.starts if start.job == job.id) < seconds


async def test_a_schedule_is_added_changed_and_paused_at_run_time(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def sync() -> None: ...

    async with test_queue(app) as queue:
        await app.client.schedules.add("often", "sync", every=10, options=JobOptions(tags=["nightly"]))
        await queue.advance(35)
        await app.client.schedules.add("often", "sync", every=20)
        await queue.advance(40)
        await app.client.schedules.pause("often")
        await queue.advance(100)
        assert [start.at for start in queue.starts] == [10, 20, 30, 40, 60]
        assert [job.tags for job in queue.jobs()] == [("nightly",)] * 3 + [()] * 2


async def test_lists_counts_history_and_bulk_acts_are_those_of_the_queue(test_queue: MakeQueue, app: Runner) -> None:
    @app.task
    async def charge(number: int) -> None: ...

    async with test_queue(app) as queue:
        for number in range(3):
            await charge.with_options(tags=["import"], delay=60 * number).submit(number)
        for number in range(2):
            await charge.with_options(delay=600).submit(number)
        assert len((await app.client.jobs(JobFilter(tag="import"))).jobs) == 3
        bulk = await app.client.bulk.begin("cancel", JobFilter(state="scheduled"))
        counted = await app.client.bulk.counted(bulk.id)
        await app.client.bulk.confirm(bulk.id, counted.counted)
        assert (await app.client.bulk.wait(bulk.id)).done == 4
        await queue.run_until_idle()
        counts = await app.client.job_counts()
        assert (counts.succeeded, counts.cancelled) == (1, 4)
        (series,) = await app.client.history()
        assert sum(row.submitted for row in series.rows) == 5
        assert sum(row.succeeded for row in series.rows) == 1
