"""Which jobs are alike: what a task and a submission may say of it, and the mark that a call has then."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from runner import Debounce, Runner, Unique
from runner.client.catalog import PublishedTask
from runner.errors import ConfigurationError, InvalidArguments, InvalidOption
from runner.jobs import JobOptions, Submission, TaskSpec
from runner.jobs.features import of_tenant
from runner.store.published import entry_of, spec_words


def told(job: Submission) -> Any:
    """What the scripts are told of a job."""
    assert (job.has_call == 3) == bool(job.features)
    return json.loads(job.features)["unique"] if job.features else None


def app_with(**options: Any) -> Any:
    jobs = Runner("shop")

    @jobs.task(**options)
    async def charge(order_id: str, cents: Decimal = Decimal(1)) -> None: ...

    return charge


def test_a_mark_names_the_task_and_the_values_of_the_key() -> None:
    charge = app_with(unique="{order_id}")

    assert told(charge.prepare("o-17")) == {"mark": "charge/o-17", "mode": "end", "duplicate": "return"}
    assert told(charge.prepare("o/17 ä"))["mark"] == "charge/o%2F17%20%C3%A4"
    assert told(app_with(unique="{order_id}:{cents}").prepare("o-17", Decimal("2.50")))["mark"] == "charge/o-17:2.5"


def test_all_arguments_are_one_mark_in_whichever_spelling() -> None:
    charge = app_with(unique=True)
    marks = [told(charge.prepare(*args))["mark"] for args in (["o", Decimal("1.0")], ["o", Decimal(1)], ["o"], ["o", Decimal(2)])]

    assert marks[0] == marks[1] == marks[2] != marks[3]
    assert re.fullmatch(r"charge/~[A-Za-z0-9_-]{22}", marks[0])


@pytest.mark.parametrize(
    ("unique", "expected"),
    [
        (Unique("{order_id}", until="start"), {"mode": "start", "duplicate": "return"}),
        (Unique("{order_id}", until=3600, duplicate="refuse"), {"mode": "end", "until_us": 3_600_000_000, "duplicate": "refuse"}),
        (Unique("{order_id}", until="start", duplicate="replace"), {"mode": "start", "duplicate": "replace"}),
        (Debounce("{order_id}", delay=5), {"mode": "start", "duplicate": "replace"}),
        (Debounce("{order_id}", delay=5, max_delay=60), {"mode": "start", "duplicate": "replace", "max_delay_us": 60_000_000}),
        ({"key": "{order_id}", "until": 0.5}, {"mode": "end", "until_us": 500_000, "duplicate": "return"}),
        ({"key": "{order_id}", "delay": 5, "max_delay": 60}, {"mode": "start", "duplicate": "replace", "max_delay_us": 60_000_000}),
    ],
)
def test_how_long_and_what_then_is_told(unique: Any, expected: dict[str, Any]) -> None:
    declared, asked = app_with(unique=unique), app_with().with_options(unique=unique)

    for task in (declared, asked):
        job = task.prepare("o-17")
        assert told(job) == {"mark": "charge/o-17", **expected}
        assert job.delay_us == (
            5_000_000 if "delay" in str(unique) and expected["duplicate"] == "replace" and "Unique" not in str(unique) else 0
        )


def test_a_submission_says_otherwise_than_its_task() -> None:
    charge = app_with(unique="{order_id}")

    assert told(charge.with_options(unique=False).prepare("o-17")) is None
    assert told(charge.with_options(unique="{cents}").prepare("o-17"))["mark"] == "charge/1"
    assert told(app_with().prepare("o-17")) is None


def test_by_name_a_call_has_the_same_mark() -> None:
    charge = app_with(unique="{order_id}:{cents}")
    spec = TaskSpec.from_json(json.loads(charge.definition.spec.to_json()))
    by_name = PublishedTask(spec, {})

    for options in (JobOptions(), JobOptions(unique=True), JobOptions(unique=Unique("{cents}"))):
        by_code = charge.with_options(unique=options.unique).prepare("o-17", Decimal("2.50"))
        assert told(by_name.prepare({"order_id": "o-17", "cents": "2.5"}, options)) == told(by_code)


def test_marks_of_tenants_differ() -> None:
    job = app_with(unique="{order_id}").prepare("o-17")

    marks = {json.loads(of_tenant(job.features, tenant))["unique"]["mark"] for tenant in ("t7", "t8")}
    assert len(marks | {told(job)["mark"]}) == 3
    assert of_tenant("", "t7") == ""


@pytest.mark.parametrize(
    ("unique", "said"),
    [
        (7, "unique is 7, and must be True, a key"),
        ("order", "must name arguments in braces"),
        ("{order}", "unique uses argument 'order', which it does not have"),
        ({"key": "{order_id}", "untill": 3}, "unique has no field 'untill'; did you mean 'until'?"),
        ({"until": "never"}, "until is 'never', and must be 'end', 'start' or a number of seconds"),
        ({"until": 0}, "until is 0, and must be a number of seconds"),
        ({"duplicate": "ignore"}, "duplicate is 'ignore', and must be one of return, refuse, replace"),
        ({"duplicate": "replace"}, "only a job that has not started can be replaced"),
        ({"max_delay": 3}, "unique has a max_delay and no delay"),
        ({"delay": 5, "max_delay": 3}, "max_delay is 3, and its delay 5"),
        ({"delay": 5, "until": "end"}, "leave until and duplicate out"),
    ],
)
def test_what_could_never_work_is_refused(unique: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        app_with(unique=unique)
    if unique == "{order}":
        with pytest.raises(InvalidArguments, match="'order', which is None"):
            app_with().with_options(unique=unique).prepare("o-17")
    else:
        with pytest.raises(InvalidOption, match=re.escape(said)):
            app_with().with_options(unique=unique).prepare("o-17")


def test_a_debounced_job_is_delayed_by_that_alone() -> None:
    charge = app_with(unique=Debounce("{order_id}", delay=5))

    with pytest.raises(InvalidOption, match="task 'charge' is debounced, which delays its jobs by 5 s: leave delay and run_at out"):
        charge.with_options(delay=1).prepare("o-17")


def test_the_catalog_says_the_least_format_of_a_task_that_older_producers_would_send_astray() -> None:
    plain, unique, pooled = (app_with(**options).definition.spec.to_json() for options in ({}, {"unique": True}, {"pool": "gpu"}))

    assert "unique" not in plain
    for body, least in ((plain, 0), (unique, 3), (pooled, 3)):
        name, limits, text = spec_words("charge", body)
        entry = entry_of(f"0 worker 1 {limits!s}\n{text!s}".encode())
        assert entry is not None
        assert (name, entry.limits, entry.least_format) == ("charge", (), least)
