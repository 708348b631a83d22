"""What a person is told of a job, told from values alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner import (
    Acceptance,
    BucketStatus,
    Concurrency,
    Foresight,
    JobStatus,
    Limit,
    LimitStatus,
    Override,
    Pause,
    QueuePace,
    Quota,
    State,
    TokenBucket,
)
from runner.jobs import AttemptRecord, JobError, explain, summary
from runner.jobs.words import clock_text, foretold, span

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
NOW_S = NOW.timestamp()
PAY = TokenBucket("pay", rate="10/s", burst=20)
SLOTS = Concurrency("gpu", 3)
QUOTA = Quota("lookups", 100, per="month", tz="Europe/Berlin")


def stands(limit: Limit, **fields: Any) -> LimitStatus:
    bucket: dict[str, Any] = {"tokens": 0, "waiting": 3, "next_token_s": 0.1, "frozen_s": 0.0}
    given: dict[str, Any] = {"override": None, "paused": None}
    buckets = [BucketStatus(limit.name, **bucket | fields.pop("bucket", {}))]
    return LimitStatus(limit, buckets=buckets, **given | fields)


def waiting(bucket: str, reason: str, **fields: Any) -> JobStatus:
    given: dict[str, Any] = {"reason": reason, "bucket": bucket, "position": 3, "submitted_at": NOW_S - 65, "eta_s": 0.3}
    return JobStatus("j1", "charge", State.waiting, **given | fields)


def told(status: JobStatus, *limits: LimitStatus) -> str:
    return "\n".join(explain(status, limits, NOW_S))


def test_a_job_without_a_token_is_told_limit_rate_tokens_place_time_and_what_to_do() -> None:
    assert told(waiting("pay", "tokens"), stands(PAY)).splitlines() == [
        "Job j1 (charge) is waiting; it was submitted 1 min 5 s ago.",
        "It waits for tokens of pay (10/s): no token is there; the next lands in 0.1 s.",
        "Its place is 3: 2 jobs are ahead of it; it starts in about 0.3 s, at 08:00:00 UTC, if the jobs ahead of it start on time.",
        "See the limit: python -m runner limits show pay",
    ]


@pytest.mark.parametrize(
    ("status", "limit", "said"),
    [
        (waiting("pay", "tokens", position=1), stands(PAY, bucket={"tokens": 2}), ["2 of 20 tokens are there", "it is next in line"]),
        (waiting("pay", "tokens", position=2), stands(PAY), ["1 job is ahead"]),
        (
            waiting("gpu", "concurrency", eta_s=None),
            stands(SLOTS, bucket={"next_token_s": None}),
            ["for a slot of gpu (3 at once): all 3 slots are taken", "it starts at an unknown time"],
        ),
        (
            waiting("lookups", "quota", eta_s=9e6),
            stands(QUOTA, bucket={"next_token_s": 90_000.0}),
            ["for the next period of lookups", "it is spent; the next period begins in 1 d 1 h"],
        ),
        (
            waiting("pay", "paused", eta_s=None),
            stands(PAY, paused=Pause(NOW - timedelta(seconds=10), "invoice unpaid")),
            ["was paused 10 s ago: invoice unpaid", "limits resume pay"],
        ),
        (
            waiting("pay", "frozen", eta_s=30.0),
            stands(PAY, bucket={"frozen_s": 30.0, "frozen_reason": "trouble"}),
            ["is frozen until 08:00:30 UTC, for another 30 s: trouble.", "limits release pay"],
        ),
        (
            waiting("pay", "frozen", eta_s=30.0),
            stands(PAY, bucket={"frozen_s": 30.0, "frozen_reason": "the provider of job j9 said wait"}),
            ["for another 30 s: the provider of job j9 said wait."],
        ),
        (
            waiting("pay", "tokens"),
            stands(PAY, override=Override(TokenBucket("pay", rate="1/s"), NOW, NOW + timedelta(hours=1), "")),
            ["(1/s, overridden until 09:00:00 UTC: no reason given; the code says 10/s, burst 20)"],
        ),
        (waiting("gone", "unpublished", eta_s=None), stands(PAY), ["for a worker that declares gone: no worker has published this limit"]),
        (
            waiting("pay", "tokens", attempt=2, throttled=1, crashes=1),
            stands(PAY),
            ["2, of these 1 lost with a worker, 1 throttled by the provider"],
        ),
    ],
)
def test_each_reason_has_its_sentence(status: JobStatus, limit: LimitStatus, said: list[str]) -> None:
    text = told(status, limit)
    assert [part for part in said if part not in text] == [], text


SHARED = TokenBucket("pay", rate="10000/min", burst=500, shared=True)


def test_a_job_at_a_shared_limit_is_told_what_its_queue_gets() -> None:
    status = waiting("pay", "tokens", position=40, eta_s=4.0, shared=QueuePace(5, 31.04))
    _, waits, place, _ = told(status, stands(SHARED)).splitlines()
    assert waits == "It waits for tokens of pay, shared by 5 queues (10000/min): no token for it is in the hand of this queue."
    assert place.startswith(
        "Its place is 40: 39 jobs are ahead of it; it starts in about 4.0 s (this queue gets 31 a second), at 08:00:04 UTC"
    )
    assert summary(status).splitlines()[1] == (
        "  waits     for tokens of pay, shared by 5 queues, place 40, in about 4.0 s (this queue gets 31 a second)"
    )


def test_a_job_at_a_shared_limit_that_is_paused_is_told_that_and_how_to_let_it_go_on() -> None:
    status = waiting("pay", "paused", eta_s=None, shared=QueuePace(5, 31.04))
    _, waits, place, remedy = told(status, stands(SHARED)).splitlines()
    assert waits.endswith("(10000/min): it is paused at its home, for all queues that share it.")
    assert place.endswith("it starts at an unknown time.")
    assert remedy.endswith("limits resume pay")


@pytest.mark.parametrize(
    ("pace", "said"),
    [
        (QueuePace(1, 0.05), "pay, shared, and used by this queue alone just now, place 3, in about 0.3 s (this queue gets 3 a minute)"),
        (QueuePace(2, 0.001), "(this queue gets 3.6 an hour)"),
        (QueuePace(2, None, 12.4), "place 3, at an unknown time: no word has come from the home of the limit for 12 s"),
        (QueuePace(2, None), "place 3, at an unknown time"),
    ],
)
def test_a_pace_has_its_words(pace: QueuePace, said: str) -> None:
    eta_s = None if pace.per_second is None else 0.3
    assert said in summary(waiting("pay", "tokens", eta_s=eta_s, shared=pace))


def test_a_job_that_would_come_is_told_what_its_queue_gets() -> None:
    told = Foresight("charge", Acceptance.waiting, reason="tokens", bucket="pay", position=5, eta_s=300.0, shared=QueuePace(2, 1 / 60))
    assert foretold(told)[2] == "  starts    in about 5 min (this queue gets 1 a minute)"
    assert foretold(replace(told, eta_s=None))[2] == "  starts    at an unknown time"


TENANT = TokenBucket("tenant", rate="10/s", key="{tenant}")


@pytest.mark.parametrize(
    ("bucket_s", "whole_s", "released"),
    [(30.0, 0.0, "tenant/t0"), (30.0, 30.0, "tenant"), (60.0, 30.0, "tenant/t0"), (0.0, 0.0, "tenant/t0")],
)
def test_a_freeze_is_released_where_it_was_made(bucket_s: float, whole_s: float, released: str) -> None:
    bucket = BucketStatus("tenant/t0", 0, 1, None, bucket_s)
    limit = LimitStatus(TENANT, None, None, [bucket], frozen_s=whole_s)
    text = told(waiting("tenant/t0", "frozen"), limit)
    assert f"for the end of the freeze of {released} (" in text
    assert text.endswith(f"python -m runner limits release {released}")


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (waiting("tenant/t0", "tokens"), "limits show tenant"),
        (waiting("tenant/t0", "paused"), "limits resume tenant"),
        (waiting("tenant/t 0", "frozen"), "limits release 'tenant/t 0'"),
        (JobStatus("j1", "charge", State.queued), "workers"),
        (JobStatus("j1", "charge", State.running, reason="stopping"), "workers"),
        (JobStatus("j1", "charge", State.running), "cancel j1"),
        (JobStatus("j1", "charge", State.failed), "retry j1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_command_that_is_told_has_the_options_that_were_given(status: JobStatus, command: str) -> None:
    limit = LimitStatus(TENANT, None, None, [])
    sentences = explain(status, [limit], NOW_S, ["--app", "shop:app", "--redis-url", "redis://localhost/0?x=1&y=2"])
    assert sentences[-1].partition(": ")[2] == f"python -m runner {command} --app shop:app --redis-url 'redis://localhost/0?x=1&y=2'"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (JobStatus("j1", "charge", State.queued), "as soon as a worker has a free slot"),
        (JobStatus("j1", "charge", State.scheduled, reason="retry", eta_s=4.0), "in about 4.0 s, after a failed attempt"),
        (JobStatus("j1", "charge", State.scheduled, reason="delay", eta_s=4.0), "submitted with a delay"),
        (
            JobStatus("j1", "charge", State.running, started_at=NOW_S - 3),
            "has been running for 3.0 s.\nStop it: python -m runner cancel j1",
        ),
        (
            JobStatus("j1", "charge", State.running, started_at=NOW_S - 3, cancel_requested=True),
            "asked to stop, and it ends when its handler does; until then its slot stays taken.\nSee whose slots are stuck:",
        ),
        (JobStatus("j1", "charge", State.running, reason="stopping"), "Its time is over, and it ends when its handler does"),
        (JobStatus("j1", "charge", State.succeeded, finished_at=NOW_S - 3), "succeeded 3.0 s ago."),
        (
            JobStatus("j1", "charge", State.cancelled, finished_at=NOW_S),
            "was cancelled 0.0 s ago.\nRun it again: python -m runner retry j1",
        ),
        (
            JobStatus("j1", "charge", State.failed, finished_at=NOW_S, error=JobError("ValueError", "no")),
            "The last error was ValueError: no\nRun it again: python -m runner retry j1",
        ),
        (
            JobStatus("j1", "charge", State.failed, finished_at=NOW_S, error=JobError("ValueError", "\x1b[31m\nJob j1 succeeded")),
            r'ValueError: "\u001b[31m\nJob j1 succeeded"',
        ),
    ],
)
def test_each_state_has_its_sentence(status: JobStatus, said: str) -> None:
    assert said in told(status)


@pytest.mark.parametrize(
    "status",
    [
        waiting("pay", "tokens", attempt=2, throttled=1, crashes=1),
        waiting("pay", "frozen", eta_s=None),
        waiting("gone\x1b", "unpublished"),
        JobStatus("j1", "charge", State.scheduled, reason="retry", eta_s=4.0),
        JobStatus("j1", "charge", State.running, reason="stopping"),
        JobStatus("j1", "charge", State.failed, finished_at=NOW_S, error=JobError("ValueError", "\x1b[31m")),
    ],
    ids=lambda status: status.reason or status.state,
)
def test_the_lines_of_a_status_say_the_same(status: JobStatus) -> None:
    sentences, lines = told(status, stands(PAY)), summary(status)
    assert lines.startswith(f"j1  charge  {status.state}\n")
    for part in [line[len("  attempts  ") :].partition(", place")[0] for line in lines.splitlines()[1:] if "UTC" not in line]:
        assert part.lower() in sentences.lower()
    assert "\x1b" not in sentences + lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (12.4, "12 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h")],
)
def test_spans_read_as_people_say_them(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_an_instant_of_another_day_has_its_date() -> None:
    assert clock_text(NOW_S + 3600, NOW_S) == "09:00:00 UTC"
    assert clock_text(NOW_S + 86_400, NOW_S) == "2027-01-16 08:00:00 UTC"


LOST = AttemptRecord(1, NOW_S - 3600, 0.25, "w-1", "WorkerLost", "its worker died")
FAILED = AttemptRecord(2, NOW_S - 5, 12.0, "w-2", "ValueError", "card\x1b refused")


def test_several_failed_attempts_are_told_one_by_one() -> None:
    status = JobStatus(
        "j1", "charge", State.scheduled, reason="retry", eta_s=4.0, attempt=2, failures=1, crashes=1, attempts=(LOST, FAILED)
    )

    assert told(status).splitlines()[-2:] == [
        "Attempt 1 at 07:00:00 UTC for 0.2 s on w-1: WorkerLost: its worker died",
        'Attempt 2 at 07:59:55 UTC for 12 s on w-2: ValueError: "card\\u001b refused"',
    ]
    lines = summary(status).splitlines()
    assert [line for line in lines if line.startswith("  failed ")] == [
        "  failed    1 at 2027-01-15 07:00:00 UTC for 0.2 s on w-1: WorkerLost: its worker died",
        '  failed    2 at 2027-01-15 07:59:55 UTC for 12 s on w-2: ValueError: "card\\u001b refused"',
    ]


def test_a_single_failed_attempt_is_the_error_that_is_told_already() -> None:
    status = JobStatus("j1", "charge", State.failed, attempt=1, attempts=(LOST,), error=JobError("ValueError", "no"))

    assert "Attempt 1" not in told(status)
    assert "  failed " not in summary(status)


def test_a_deadline_is_told_as_long_as_it_is_ahead() -> None:
    assert told(JobStatus("j1", "charge", State.running, deadline_at=NOW_S + 90)).splitlines()[1] == (
        "Its deadline is 08:01:30 UTC, in 1 min 30 s."
    )
    assert "  deadline  2027-01-15 08:01:30" in summary(JobStatus("j1", "charge", State.queued, deadline_at=NOW_S + 90))
    ended = JobStatus("j1", "charge", State.failed, deadline_at=NOW_S - 90)
    assert "deadline" not in told(ended) + summary(ended)
