"""ActiveJobs: slots, and which jobs a worker must name when it reconciles, in every order in which an attempt can end."""

import asyncio

import pytest

from runner.jobs import StartedJob
from runner.worker.active_jobs import ActiveJob, ActiveJobs

JOB = StartedJob(1, b"1-1", "a", "work", b"{}", 1, 0)
AGAIN = JOB._replace(attempt=2)


class Attempts:
    """Attempts that run until the test ends them."""

    def __init__(self, slots: int = 2) -> None:
        self.jobs = ActiveJobs(slots)
        self.release = asyncio.Event()

    async def run(self, active: ActiveJob) -> None:
        try:
            await self.release.wait()
        finally:
            self.jobs.end(active)

    async def begin(self, *jobs: StartedJob) -> None:
        for job in jobs:
            self.jobs.begin(job, self.run)
        await asyncio.sleep(0)

    async def end(self) -> None:
        self.release.set()
        await self.jobs.wait_until_idle()


@pytest.fixture
async def attempts() -> Attempts:
    return Attempts()


async def test_only_the_first_outcome_of_an_attempt_counts(attempts: Attempts) -> None:
    await attempts.begin(JOB)

    assert attempts.jobs.unrecorded == [JOB]
    assert [attempts.jobs.record_once(JOB) for _ in range(2)] == [True, False]
    assert attempts.jobs.unrecorded == []
    await attempts.end()


async def test_two_attempts_of_one_entry_are_two_jobs(attempts: Attempts) -> None:
    await attempts.begin(JOB, AGAIN)

    assert attempts.jobs.record_once(JOB)
    assert attempts.jobs.unrecorded == [AGAIN]
    assert (attempts.jobs.running, attempts.jobs.free) == (2, 0)
    await attempts.end()


@pytest.mark.parametrize("confirmed_first", [True, False])
async def test_a_job_is_named_until_its_outcome_is_confirmed_and_takes_its_slot_until_it_ends(
    attempts: Attempts, *, confirmed_first: bool
) -> None:
    await attempts.begin(JOB)
    attempts.jobs.record_once(JOB)

    if confirmed_first:
        attempts.jobs.confirm(JOB)
        assert (attempts.jobs.unconfirmed, attempts.jobs.free, attempts.jobs.confirmed_and_running) == ([], 1, 1)
        await attempts.end()
    else:
        await attempts.end()
        assert (attempts.jobs.unconfirmed, attempts.jobs.free, attempts.jobs.confirmed_and_running) == ([JOB], 2, 0)
        attempts.jobs.confirm(JOB)

    assert (attempts.jobs.unconfirmed, attempts.jobs.free, attempts.jobs.tasks) == ([], 2, [])
    assert not attempts.jobs.has_unconfirmed


async def test_an_attempt_is_overdue_once_it_was_asked_to_stop_or_its_task_is_late(attempts: Attempts) -> None:
    other = JOB._replace(id="b", entry=b"1-2")
    await attempts.begin(JOB, other)
    late = attempts.jobs.tasks[1]

    assert attempts.jobs.overdue_jobs(()) == []
    assert attempts.jobs.overdue_jobs({late}) == [other]
    attempts.jobs.cancel(["a", "unknown"])
    assert attempts.jobs.overdue_jobs({late}) == [JOB, other]
    await attempts.end()
    assert attempts.jobs.overdue_jobs({late}) == []


async def test_an_attempt_of_an_earlier_lease_keeps_its_slot_until_it_ends() -> None:
    release = asyncio.Event()
    leftover = asyncio.create_task(_until(release))
    jobs = ActiveJobs(1, [leftover])

    assert (jobs.free, jobs.leftover, jobs.reserve(1)) == (0, 1, 0)
    release.set()
    async with asyncio.timeout(5):
        await jobs.wait_for_free()
    assert (jobs.free, jobs.leftover) == (1, 0)


async def _until(event: asyncio.Event) -> None:
    await event.wait()
