"""A short campaign of random faults, what a seed tells, and the report. The accounts are in `test_campaign_accounts`."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from runner import Runner
from runner.client.catalog import PublishedTask
from runner.jobs import JobOptions, TaskSpec
from tests.chaos.campaign.branch.app import BranchWork, branch_call
from tests.chaos.campaign.branch.contract import CONTRACT
from tests.chaos.campaign.calls import A_LAUNCH, CHANGED, FIRST_BY_NAME, FIRST_PLAIN, NEW, OLD, WATCHED, call
from tests.chaos.campaign.faults import FAULTS
from tests.chaos.campaign.in_plain_code import result_of
from tests.chaos.campaign.notes import Notes
from tests.chaos.campaign.plan import Plan
from tests.chaos.campaign.players import cast
from tests.chaos.campaign.preparation import prepared
from tests.chaos.campaign.producer import prepared as prepared_by_code
from tests.chaos.campaign.report import MIB, Recovery, Report
from tests.chaos.campaign.schedule import deeds, steps
from tests.chaos.campaign.versions import needs
from tests.chaos.campaign.workload import Workload
from tests.conftest import OWN_KINDS

WEIGHTS = {name: fault.weight for name, fault in FAULTS.items()}
FAMILIES = {name: fault.family for name, fault in FAULTS.items()}
SHORT = {"lease_s": 2.0, "renew_s": 0.5, "reclaim_s": 0.3, "block_s": 0.5, "result_ttl_s": 5.0, "failed_ttl_s": 5.0}
HARD = frozenset({"kill_leader", "kill_server", "cut_all", "lose_replies", "stop_worker_past_its_lease", "kill_all_takers"})
OF_BRANCH = frozenset({"kill_branch_leader", "part_branch_from_home"})
DEPLOYS = frozenset({"deploy_to_some", "deploy_old_version", "kill_producer"})
EVERYWHERE = [*range(5_000), *range(FIRST_BY_NAME, FIRST_BY_NAME + 500)]
EVERYWHERE += [number for launch in range(2) for number in range(FIRST_PLAIN + launch * A_LAUNCH, FIRST_PLAIN + launch * A_LAUNCH + 500)]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("F32")
@pytest.mark.parametrize("own_server", OWN_KINDS)
async def test_random_faults_under_load_lose_nothing_break_no_limit_and_leave_no_memory_behind(own_server: str, tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan(
        7,
        20.0,
        tmp_path,
        kind=own_server,
        workers=3,
        rate=80.0,
        pause_s=1.5,
        patience=4.0,
        kinds=HARD | DEPLOYS | OF_BRANCH,
        settings=SHORT,
    )

    async with prepared(plan, told.append) as campaign:
        report = await campaign.run()

    assert report.findings == {}, "\n".join(told + report.lines())
    assert {recovery.fault for recovery in report.recoveries if " and " not in recovery.fault} & HARD
    assert report.jobs >= plan.seconds * plan.rate
    assert report.takes > plan.seconds
    assert report.branch_jobs > plan.seconds
    assert min(report.starts_under_shared.values()) > plan.seconds
    assert report.jobs_of_several_limits > plan.seconds
    assert min(report.runs_by_old, report.runs_by_new, report.runs_by_name, report.results_told, report.amended) > plan.seconds / 4
    assert set(report.players) == set(cast.PLAYERS)
    assert all(sum(figures.values()) > plan.seconds / 4 for figures in report.players.values())
    assert set(report.answers_told) == {"a time", "nothing of a time", "a time that cannot be read"}


def test_a_seed_tells_every_job_every_fault_and_every_deed() -> None:
    assert [call(1, n) for n in EVERYWHERE] == [call(1, n) for n in EVERYWHERE]
    for first in (0, FIRST_BY_NAME, FIRST_PLAIN):
        assert [call(1, first + n) for n in range(100)] != [call(2, first + n) for n in range(100)]
    assert list(steps(1, 600, WEIGHTS, FAMILIES, 5)) == list(steps(1, 600, WEIGHTS, FAMILIES, 5))
    assert list(steps(1, 600, WEIGHTS, FAMILIES, 5)) != list(steps(2, 600, WEIGHTS, FAMILIES, 5))
    assert [branch_call(1, n) for n in range(100)] == [branch_call(1, n) for n in range(100)] != [branch_call(2, n) for n in range(100)]
    assert list(deeds(1, 60)) == list(deeds(1, 60)) != list(deeds(2, 60))


def test_every_kind_of_fault_comes_once_before_any_comes_again() -> None:
    first = [step.faults[0][0] for step in islice(steps(3, 10_000, WEIGHTS, FAMILIES, 5), len(FAULTS))]

    assert sorted(first) == sorted(FAULTS)
    assert all(len({FAMILIES[name] for name, _ in step.faults}) == len(step.faults) for step in steps(3, 10_000, WEIGHTS, FAMILIES, 5))


@pytest.fixture
def works() -> dict[int, Workload]:
    """Both versions of the application, of which no test here submits anything."""
    return {version: Workload("redis://127.0.0.1:1/0", None, version) for version in (OLD, NEW)}


def tasks_of_players(version: int) -> set[str]:
    """Those that no job of the schedule is of."""
    app = Runner("campaign")
    cast.declare(app, Notes(None).play, version)
    return set(app.tasks)


def test_every_job_of_the_schedule_can_be_submitted_by_the_code_of_its_version(works: dict[int, Workload]) -> None:
    tasks: dict[int, set[str]] = {OLD: set(), NEW: set()}
    for number in EVERYWHERE:
        job = call(4, number)
        tasks[job.version].add(prepared_by_code(works[job.version], number, job).task)

    of_players = {version: tasks_of_players(version) for version in works}
    assert tasks == {version: set(work.runner.tasks) - of_players[version] for version, work in works.items()}
    assert tasks[NEW] - tasks[OLD] == {"refund"}


def test_every_job_of_the_branch_can_be_submitted_and_both_queues_declare_one_limit(works: dict[int, Workload]) -> None:
    branch = BranchWork("redis://127.0.0.1:1/0", None)
    tasks = {prepared_by_code(branch, number, branch_call(4, number)).task for number in range(500)}

    assert tasks == set(branch.runner.tasks)
    assert {app.limits["contract"].to_json() for app in (branch.runner, *(work.runner for work in works.values()))} == {CONTRACT.to_json()}


def test_by_name_every_job_has_the_buckets_and_costs_that_are_expected_of_it_however_it_is_spelled(works: dict[int, Workload]) -> None:
    new = works[NEW].runner
    specs = {name: TaskSpec.from_json(json.loads(task.definition.spec.to_json())) for name, task in new.tasks.items()}
    published = {name: PublishedTask(spec, new.limits) for name, spec in specs.items()}
    spelled = set()
    for number in range(FIRST_BY_NAME, FIRST_BY_NAME + 500):
        job = call(4, number)
        submission = published[job.task].prepare(job.args, JobOptions(id=f"c{number}", **job.options))
        spelled |= {repr(value) for name, value in job.args.items() if name in ("account", "branch")}
        if job.task in WATCHED:
            told = dict(need.split("=") for need in submission.limits.replace("!", "").split(";"))
            assert {bucket: int(cost) for bucket, cost in told.items()} == needs(job, NEW)

    assert len(spelled) > 50


def test_the_versions_differ_in_all_that_a_deploy_changes(works: dict[int, Workload]) -> None:
    old, new = (work.runner for work in works.values())
    specs = {
        version: {name: task.definition.spec.to_json() for name, task in app.tasks.items()} for version, app in ((OLD, old), (NEW, new))
    }

    assert new.revision > old.revision
    assert {name for name, spec in specs[NEW].items() if specs[OLD].get(name) != spec} == CHANGED - {"ship"} | {"apart"}
    assert {name for name, limit in new.limits.items() if old.limits.get(name) != limit} == {"books", "parcels", "fraud", "refunds"}
    assert (old.limits["parcels"].key, new.limits["parcels"].key) == ("{tenant}", "{region}")


def test_the_producer_by_name_has_no_code_of_the_application() -> None:
    program = "import sys, tests.chaos.campaign.by_name; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "tests.chaos.campaign.calls" in loaded
    assert not {f"tests.chaos.campaign.{name}" for name in ("workload", "old_version", "new_version", "odd_provider")} & set(loaded)


def test_plain_code_knows_the_result_of_each_of_its_jobs_and_the_type(works: dict[int, Workload]) -> None:
    for number in range(FIRST_PLAIN, FIRST_PLAIN + 200):
        job = call(4, number)
        result = works[NEW].task(job.task).definition.arguments.result
        assert result.read(json.loads(result.encode(result_of(job)))) == result_of(job)


def test_memory_that_grows_all_the_time_is_found_and_what_is_flat_or_short_is_not() -> None:
    grows, flat, short = (Report(1, "valkey", 6) for _ in range(3))
    grows.worker_bytes = [(50 + minute) * MIB for minute in range(60)]
    flat.worker_bytes = [(30 if minute < 5 else 55 + minute % 3) * MIB for minute in range(60)]
    short.server_bytes = [minute * MIB for minute in range(10)]

    for report in (grows, flat, short):
        report.check_growth()

    assert [list(report.findings) for report in (grows, flat, short)] == [["memory"], [], []]


def test_a_report_is_told_in_lines_and_as_json() -> None:
    report = Report(1, "valkey", 6, jobs=10)
    report.recoveries += [
        Recovery("kill_worker", 1.0, 7.5),
        Recovery("kill_worker", 3.0, 7.5),
        Recovery("cut_all and kill_worker", 2.0, 7.5),
    ]
    report.wrong("lost", ["job c1 was accepted and has not ended"])

    told = json.loads(report.to_json())

    assert told["faults"]["kill_worker"] == {"times": 2, "p50_s": 2.0, "max_s": 3.0, "bound_s": 7.5}
    assert told["counts"] == {"lost": 1}
    assert "lost 1, accepted twice 0, over a limit 0" in report.lines()
    assert any(line.startswith("two at once") for line in report.lines())
