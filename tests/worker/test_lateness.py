"""A worker that begins attempts later than a limit's jitter allows says so."""

import time

import pytest

from runner import Runner, TokenBucket
from runner.jobs import StartedJob
from runner.limits import Concurrency, Limit
from runner.worker.lateness import Lateness, lateness_of
from tests.eventually import eventually
from tests.worker.conftest import Crew

JITTERY = TokenBucket("pay", rate="1000/s", burst=500, jitter=0.05)
JOB = StartedJob(0, b"1-0", "a", "charge", b"", 1, 0, "pay=1")


@pytest.mark.parametrize(
    ("limit", "is_watched"), [(JITTERY, True), (TokenBucket("x", rate="1/s"), False), (Concurrency("x", 3, jitter=1), False)]
)
def test_it_is_watched_where_a_limit_has_a_jitter_that_says_anything(limit: Limit, is_watched: bool) -> None:
    assert (lateness_of([limit]) is not None) is is_watched


class Begun:
    """Attempts that begin when a test says, of jobs that got their tokens when it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_us = 1_000_000
        monkeypatch.setattr("runner.worker.lateness.monotonic_us", lambda: self.now_us)
        self.lateness = Lateness([JITTERY])

    async def attempt(self, job: StartedJob, *, began_us: int, started_us: int) -> None:
        async def execute(job: StartedJob) -> None:
            """It does nothing."""

        self.now_us = began_us
        await self.lateness.around_attempt(execute)(job)
        self.lateness.note_start(job, started_us)


async def test_the_quickest_of_the_last_minutes_is_the_measure(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Redis's clock and this one differ by hours, which says nothing."""
    begun = Begun(monkeypatch)
    far_us = 7_200_000_000

    await begun.attempt(JOB, began_us=10_000_000, started_us=far_us + 10_000_000)
    await begun.attempt(JOB, began_us=11_050_000, started_us=far_us + 11_000_000)
    assert caplog.messages == []
    await begun.attempt(JOB, began_us=12_050_001, started_us=far_us + 12_000_000)

    (message,) = caplog.messages
    assert message.startswith("job a (charge) began 0.050 s later after it had got its tokens than another of the last minute did")
    assert "limit 'pay' allows for jitter=0.05" in message


async def test_one_that_was_two_minutes_ago_is_the_measure_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Clocks drift, or are set."""
    begun = Begun(monkeypatch)

    await begun.attempt(JOB, began_us=10_000_000, started_us=10_000_000)
    await begun.attempt(JOB, began_us=130_200_000, started_us=130_000_000)

    assert caplog.messages == []


async def test_other_limits_and_attempts_of_unknown_times_say_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = Begun(monkeypatch)

    for started_us in (0, 500_000):
        await begun.attempt(JOB._replace(limits="other/pay=1"), began_us=1_000_000, started_us=started_us)
    begun.lateness.note_start(JOB._replace(id="never begun"), 0)

    assert caplog.messages == []


async def test_a_real_worker_whose_loop_is_blocked_says_so(app: Runner, crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    """All get their tokens in one call, and the first that runs holds up the others."""

    @app.task(limits=[JITTERY])
    async def charge() -> None:
        time.sleep(0.06)  # noqa: ASYNC251 - it is what is looked for

    await app.submit_many([charge.prepare() for _ in range(5)])
    await crew.start(app)

    await eventually(lambda: any("limit 'pay' allows for jitter=0.05" in message for message in caplog.messages))


async def test_a_worker_without_such_a_limit_asks_redis_for_no_times(app: Runner, crew: Crew) -> None:
    @app.task(limits=[TokenBucket("pay", rate="1000/s")])
    async def charge() -> None:
        """It does nothing."""

    worker = await crew.start(app)
    await (await charge.submit()).result()

    assert worker._actors is not None
    assert worker._actors._claimer._store.tells_times is False
