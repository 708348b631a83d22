"""Where each option can be given, as docs/reference/options.md says it, compared with the code: none is missing at one door that another has."""

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from runner import JobOptions, Runner
from runner.cli.app import app as commands
from runner.errors import InvalidOption, InvalidSchedule, StartOutOfRange
from runner.http.job_body import JobBody
from runner.http.schedule_schemas import ScheduleJobs
from runner.http_client.submissions import prepared
from runner.jobs.schedule import ScheduleSpec, make_schedule
from runner.jobs.schedule_options import OPTIONS as OF_SCHEDULES
from runner.jobs.task_definition import TaskOptions
from tests.pages import page
from tests.unit.test_docs import table

ROWS = table(page("options.md").read_text(), "option")
TASK, SUBMISSION, OVER_HTTP, SUBMIT, SCHEDULE, ADD = range(2, 8)
NOT_OF_A_JOB = {"--wait", "--dry-run", "--count", "--app", "--queue", "--redis-url", "--json", "--url", "--api-key", "--help"}
OF_A_SCHEDULE = {"--cron", "--every", "--tz", "--start", "--end", "--missed", "--grace", "--overlap", "--jitter"}
GIVEN = (
    JobOptions("o-17", "low", 5.0, None, {"pay": 2}, 5.0, 60.0, "gpu", False, ["invoice"], {"by": "import"}, ["o-16"], "run"),
    JobOptions(run_at=datetime(2026, 1, 1, tzinfo=UTC)),
)
"""Between them every option that a submission has."""


def documented(column: int) -> list[str]:
    return sorted(name for row in ROWS for name in row.code(column))


def options_of_command(*path: str) -> set[str]:
    command: Any = typer.main.get_command(commands)
    for name in path:
        command = command.commands[name]
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (TASK, lambda: set(TaskOptions.__annotations__)),
        (SUBMISSION, lambda: set(JobOptions._fields)),
        (OVER_HTTP, lambda: set(JobBody.model_fields) - {"task", "args"}),
        (SUBMIT, lambda: options_of_command("submit") - NOT_OF_A_JOB),
        (SCHEDULE, lambda: set(OF_SCHEDULES)),
        (SCHEDULE, lambda: set(ScheduleJobs.model_fields)),
        (ADD, lambda: options_of_command("schedules", "add") - NOT_OF_A_JOB - OF_A_SCHEDULE),
    ],
    ids=["task", "submission", "HTTP", "submit", "schedule", "schedule over HTTP", "schedules add"],
)
def test_each_option_can_be_given_where_the_table_says_so(column: int, found: Callable[[], set[str]]) -> None:
    assert documented(column) == sorted(found())


def test_a_row_names_its_options_alike_at_every_door() -> None:
    for row in ROWS:
        names = set(row.code(0))
        for column in (TASK, SUBMISSION, OVER_HTTP, SCHEDULE):
            assert set(row.code(column)) in (set(), names), row
        spelt = {name.removeprefix("--").replace("-", "_") for column in (SUBMIT, ADD) for name in row.code(column)}
        assert spelt <= names | {name.removesuffix("s") for name in names}, row


def test_what_a_submission_says_a_task_with_options_says_too() -> None:
    jobs = Runner("shop")
    own = set(inspect.signature(jobs.task(name="charge")(lambda: None).with_options).parameters) - {"unknown"}

    assert own == set(JobOptions._fields) - {"after", "on_failure"}, "those two are what Task.after says"


def test_the_http_client_sends_every_option_and_the_service_reads_it() -> None:
    for options in GIVEN:
        body = json.loads(prepared("charge", {}, options).body)
        read = JobBody(**body).request().options
        assert read._replace(id=options.id) == options


def test_a_schedule_gives_its_jobs_every_option_that_it_can_be_given() -> None:
    given = {name: value for name, value in GIVEN[0]._asdict().items() if name in OF_SCHEDULES}
    assert set(given) == set(OF_SCHEDULES)
    spec = make_schedule("daily", "charge", cron="@daily", options=given)

    assert ScheduleJobs(**given).given() == JobOptions(**spec.options) == JobOptions(**given)
    assert ScheduleSpec.from_json("daily", spec.to_json()) == spec


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": 5}, "its jobs get their ids and their starts by it, and come after no other; a schedule has no option 'delay'"),
        ({"tags": ["a b"]}, "schedule 'daily': tag 'a b' cannot be one"),
        ({"metadata": {"x": float("nan")}}, "schedule 'daily': metadata 'x' is nan"),
    ],
)
def test_a_schedule_refuses_what_its_jobs_could_not_have(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSchedule, match=said):
        make_schedule("daily", "charge", cron="@daily", options=options)


def test_a_submission_says_its_deadline_in_the_place_of_its_task() -> None:
    jobs = Runner("shop")
    charge = jobs.task(name="charge", deadline=3_600)(lambda: None)

    assert charge.prepare().deadline_us == 3_600_000_000
    assert charge.with_options(deadline=60).prepare().deadline_us == 60_000_000
    assert jobs.task(name="free")(lambda: None).with_options(deadline=0.5).prepare().deadline_us == 500_000
    with pytest.raises(InvalidOption, match=r"deadline of a job is 0, and must be a number of seconds from 0\.001"):
        charge.with_options(deadline=0).prepare()
    with pytest.raises(StartOutOfRange, match=r"delay is 60, and this job of task 'charge' ends 60 s after its submission"):
        charge.with_options(deadline=60, delay=60).prepare()
