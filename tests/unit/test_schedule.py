"""Schedules as values: their instants, what is done about those that passed, and what is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import MICROSECONDS
from runner.errors import InvalidSchedule
from runner.jobs import Debounce, JobOptions, ScheduleSpec, ScheduleStatus, Unique, make_schedule
from runner.jobs.job import check_job_id
from runner.jobs.schedule import MOST_RUNS, plan

S = MICROSECONDS
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOON_US = round(NOON.timestamp()) * S


def schedule(**given: Any) -> ScheduleSpec:
    return make_schedule("nightly", "report", **given)


def test_every_is_a_grid_from_the_instant_it_was_added_or_from_its_start() -> None:
    spec = schedule(every=30)
    assert spec.after(NOON_US, NOON_US) == NOON_US + 30 * S
    assert spec.after(NOON_US + 95 * S, NOON_US) == NOON_US + 120 * S
    spec = schedule(every=30, start=NOON)
    assert spec.after(NOON_US - 500 * S, 7) == NOON_US
    assert spec.after(NOON_US, 7) == NOON_US + 30 * S


def test_a_schedule_has_no_instant_before_its_start_or_after_its_end() -> None:
    spec = schedule(cron="0 * * * *", start=NOON + timedelta(minutes=30), end=NOON + timedelta(hours=2))
    assert list(spec.following(spec.after(0, 0), 0)) == [NOON_US + 3_600 * S, NOON_US + 7_200 * S]
    assert schedule(cron="0 * * * *", start=NOON).after(0, 0) == NOON_US


def test_the_id_of_a_job_is_the_instant_without_jitter() -> None:
    spec = schedule(cron="0 6 * * *", tz="America/New_York", jitter=3_600)
    assert spec.job_id(NOON_US) == "nightly:20261128T120000Z"
    assert spec.job_id(NOON_US + 250_000) == "nightly:20261128T120000.250000Z"
    assert check_job_id(make_schedule("n" * 64, "t", every=1.5).job_id(NOON_US + 1)).startswith("nnn")
    assert NOON_US <= spec.due_us(NOON_US) < NOON_US + 3_600 * S
    assert spec.due_us(NOON_US) == spec.due_us(NOON_US)


@settings(max_examples=40)
@given(
    every=st.sampled_from([1, 7.5, 60, 3_600]),
    passed=st.integers(0, 30_000),
    rest=st.floats(0, 0.99),
    missed=st.sampled_from(["latest", "all", "skip"]),
    grace=st.sampled_from([0, 60, 3_600]),
    jitter=st.sampled_from([0, 1]),
    ends=st.booleans(),
)
def test_a_plan_settles_each_instant_once(
    every: float, passed: int, rest: float, missed: str, grace: float, jitter: float, ends: bool
) -> None:
    end = NOON + timedelta(seconds=every * (passed + 1) / 2) if ends else None
    spec = schedule(every=every, missed=missed, grace=grace, jitter=jitter, end=end)
    nominal = NOON_US + spec.every_us if spec.every_us else 0
    now_us = round(nominal + (passed + rest) * every * S)
    planned, runs, count, first = None, [], 0, True
    while first or (planned is not None and planned.following is not None and spec.due_us(planned.following) <= now_us):
        planned = plan(spec, nominal if planned is None else planned.following or 0, now_us, NOON_US)
        runs += planned.runs
        count += planned.missed + len(planned.runs)
        first = False
    due = [NOON_US + k * (spec.every_us or 0) for k in range(1, passed + 3)]
    due = [instant for instant in due if instant == nominal or (instant <= (spec.end_us or instant) and spec.due_us(instant) <= now_us)]
    assert planned is not None
    assert count == len(due)
    assert planned.last == due[-1]
    assert planned.following == spec.after(due[-1], NOON_US)
    if missed == "latest":
        assert runs == due[-1:]
    elif missed == "all":
        assert runs == due[-MOST_RUNS:]
    else:
        assert runs == [instant for instant in due if now_us - spec.due_us(instant) <= grace * S][-MOST_RUNS:]


def test_what_is_kept_of_a_schedule_is_the_same_when_it_is_read() -> None:
    spec = schedule(
        args={"tenant": "t7"},
        cron="0 6 * * 1-5",
        tz="Europe/Berlin",
        start=NOON,
        missed="skip",
        grace=7,
        overlap="queue",
        jitter=5,
        options=JobOptions(priority="low")._asdict(),
    )
    assert ScheduleSpec.from_json("nightly", spec.to_json()) == spec
    assert ScheduleSpec.from_json("nightly", '{"task":"report","every_us":5,"of a newer version":1}').every_us == 5
    status = ScheduleStatus("nightly", spec, False, "active", next_at=NOON.timestamp(), made=3, missed=1, paused_at=7.0, paused_by="ann")
    assert ScheduleStatus.from_document(status.document()).document() == status.document()


def test_the_runs_to_come_show_the_clock_of_their_zone_and_what_is_odd() -> None:
    spec = schedule(cron="30 * * * *", tz="Europe/Berlin")
    first = round(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp())
    status = ScheduleStatus("nightly", spec, False, "active", next_at=first)
    assert [(run.local.hour, run.note) for run in status.coming(3)] == [(2, "fold"), (2, "fold"), (3, "")]
    assert list(ScheduleStatus("nightly", None, False, "ended").coming()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give either cron, like '0 6 * * 1-5', or every, in seconds"),
        ({"cron": "* * * * *", "every": 5}, "give either cron"),
        ({"every": 0.5}, "interval is 0.5, and must be a number of seconds from 1 to"),
        ({"every": 5, "tz": "Europe/Berlin"}, "tz is for cron"),
        ({"cron": "* * * * *", "tz": "Mars/Base"}, "time zone 'Mars/Base' is unknown: write one like 'Europe/Berlin'"),
        ({"every": 5, "missed": "some"}, "missed is 'some', and must be one of latest, all, skip"),
        ({"every": 5, "overlap": 1}, "overlap is 1, and must be one of skip, queue, allow"),
        ({"every": 5, "jitter": 6}, "jitter 6 is longer than its interval of 5 s"),
        ({"every": 5, "jitter": -1}, "jitter of a schedule is -1"),
        ({"every": 5, "grace": "x"}, "grace of a schedule is 'x'"),
        ({"every": 5, "start": NOON.replace(tzinfo=None)}, "start 2026-11-28T12:00:00 has no time zone: add one, like +00:00"),
        ({"every": 5, "end": "soon"}, "end is 'soon', and must be a datetime with a time zone"),
        ({"every": 5, "start": NOON, "end": NOON.astimezone(timezone(timedelta(hours=2))) - timedelta(1)}, "is before its start"),
        ({"every": 5, "options": {"id": "x"}}, "its jobs get their ids and their starts by it"),
        ({"every": 5, "options": {"after": ["o-17"]}}, "and come after no other; a schedule has no option 'after'"),
        ({"every": 5, "options": {"unique": {"untill": "end"}}}, "schedule 'nightly': unique has no field 'untill'"),
        ({"every": 5, "options": {"tags": "a"}}, "tags are 'a': give a list of words"),
        ({"every": 5, "options": {"metadata": {"a": {1}}}}, "metadata 'a' is {1}"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused_by_name(given: Mapping[str, Any], said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        schedule(**given)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["", "a:b", "x" * 65, 7, "ä"])
def test_a_name_that_cannot_begin_an_id_is_refused(name: object) -> None:
    with pytest.raises(InvalidSchedule, match=r"give 1 to 64 letters, digits, '.', '_' or '-'"):
        make_schedule(name, "t", every=5)


def test_what_is_kept_of_the_options_is_one_text_however_they_are_spelled() -> None:
    given = {"tags": {"b", "a"}, "unique": Unique("{day}"), "metadata": {"n": 1, "a": [None]}, "pool": "gpu", "priority": None}
    spec = schedule(every=5, options=given)
    assert dict(spec.options) == {
        "tags": ["a", "b"],
        "unique": {"key": "{day}", "until": "end", "duplicate": "return"},
        "metadata": {"a": [None], "n": 1},
        "pool": "gpu",
    }
    again = schedule(every=5, options={"tags": ("a", "b", "a"), "unique": "{day}", "metadata": {"a": (None,), "n": 1}, "pool": "gpu"})
    assert spec.to_json() == again.to_json()
    assert ScheduleSpec.from_json("nightly", spec.to_json()) == spec
    assert schedule(every=5, options={"unique": False}).options == {"unique": False}
    assert schedule(every=5, options={"unique": Debounce(delay=2)}).options == {"unique": {"delay": 2}}
