"""A short campaign of random faults, and the guards of its own accounts: each must be able to fail."""

import json
from itertools import islice
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.chaos.campaign.campaign import Plan, prepared
from tests.chaos.campaign.faults import FAULTS
from tests.chaos.campaign.ledger import KEYS, Ledger, Spell
from tests.chaos.campaign.report import MIB, Recovery, Report
from tests.chaos.campaign.schedule import call, deeds, steps
from tests.chaos.campaign.workload import LIMITS, Workload
from tests.conftest import OWN_KINDS

WEIGHTS = {name: fault.weight for name, fault in FAULTS.items()}
FAMILIES = {name: fault.family for name, fault in FAULTS.items()}
SHORT = {"lease_s": 2.0, "renew_s": 0.5, "reclaim_s": 0.3, "block_s": 0.5, "result_ttl_s": 5.0, "failed_ttl_s": 5.0}
HARD = frozenset({"kill_leader", "kill_server", "cut_all", "lose_replies", "stop_worker_past_its_lease"})


@pytest.mark.slow
@pytest.mark.fault("F32")
@pytest.mark.parametrize("own_server", OWN_KINDS)
async def test_random_faults_under_load_lose_nothing_break_no_limit_and_leave_no_memory_behind(own_server: str, tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan(7, 15.0, tmp_path, kind=own_server, workers=3, rate=80.0, pause_s=1.5, patience=4.0, kinds=HARD, settings=SHORT)

    async with prepared(plan, told.append) as campaign:
        report = await campaign.run()

    assert report.findings == {}, "\n".join(told + report.lines())
    assert {recovery.fault for recovery in report.recoveries if " and " not in recovery.fault} & HARD
    assert report.jobs >= plan.seconds * plan.rate


def test_a_seed_tells_every_job_every_fault_and_every_deed() -> None:
    assert [call(1, n) for n in range(500)] == [call(1, n) for n in range(500)]
    assert [call(1, n) for n in range(500)] != [call(2, n) for n in range(500)]
    assert list(steps(1, 600, WEIGHTS, FAMILIES, 5)) == list(steps(1, 600, WEIGHTS, FAMILIES, 5))
    assert list(steps(1, 600, WEIGHTS, FAMILIES, 5)) != list(steps(2, 600, WEIGHTS, FAMILIES, 5))
    assert list(deeds(1, 60)) == list(deeds(1, 60)) != list(deeds(2, 60))


def test_every_kind_of_fault_comes_once_before_any_comes_again() -> None:
    first = [step.faults[0][0] for step in islice(steps(3, 10_000, WEIGHTS, FAMILIES, 5), len(FAULTS))]

    assert sorted(first) == sorted(FAULTS)
    assert all(len({FAMILIES[name] for name, _ in step.faults}) == len(step.faults) for step in steps(3, 10_000, WEIGHTS, FAMILIES, 5))


def test_every_job_of_the_schedule_can_be_submitted() -> None:
    work = Workload("redis://127.0.0.1:1/0", None)

    tasks = set()
    for number in range(5_000):
        job = call(4, number)
        tasks.add(work.task(job.task).with_options(id=f"c{number}", **job.options).prepare(**job.args).task)

    assert tasks == set(work.runner.tasks)


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


class Books:
    """A ledger, and what scripts and workers would write for it."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self._redis = redis
        self._notes = folder / "runs-0"
        self.ledger = Ledger(folder)

    def runs(self, number: int, attempt: int = 1, what: str = "B") -> None:
        with self._notes.open("a") as notes:
            notes.write(f"{what} {number} {attempt}\n")

    async def starts(self, number: int, limits: str, now_us: int, attempt: int = 1) -> None:
        await self._redis.xadd(KEYS.starts, {"job": f"c{number}", "limits": limits, "attempt": attempt, "now": now_us})
        self.runs(number, attempt)

    async def ends(self, number: int, attempt: int = 1, state: str = "succeeded") -> None:
        await self._redis.xadd(KEYS.history, {"job": f"c{number}", "task": "plain", "state": state, "attempt": attempt})

    async def findings(self) -> dict[str, list[str]]:
        await self.ledger.read(self._redis)
        return {what: found for what, found in self.ledger.findings(LIMITS).items() if found}


@pytest.fixture
async def books(redis: Redis, tmp_path: Path) -> Books:
    await redis.delete(KEYS.history, KEYS.starts)
    return Books(redis, tmp_path)


async def test_the_accounts_of_jobs_that_ended_well_are_empty(books: Books) -> None:
    books.ledger.accepted.update(range(100))
    for number in range(100):
        await books.starts(number, "metered=1", 10_000_000 + number * 50_000)
        await books.ends(number)

    assert await books.findings() == {}


async def test_a_job_without_an_outcome_is_lost(books: Books) -> None:
    books.ledger.accepted.update({1, 2})
    await books.ends(1)

    assert await books.findings() == {"lost": ["job c2 was accepted and has not ended"]}


async def test_a_second_outcome_is_found_unless_somebody_retried_the_job(books: Books) -> None:
    for number in (1, 1, 2, 2):
        await books.ends(number)
    books.ledger.retried[2] += 1

    assert list(await books.findings()) == ["accepted twice"]


async def test_an_attempt_that_is_begun_twice_is_found(books: Books) -> None:
    books.runs(1)
    books.runs(1)

    assert sorted(await books.findings()) == ["ran too often", "ran twice"]


async def test_a_run_more_than_failures_crashes_and_stops_explain_is_found(books: Books) -> None:
    books.runs(1)
    books.runs(1, what="S")
    books.runs(1, attempt=2)
    books.runs(2)
    books.runs(2, attempt=2)

    assert await books.findings() == {"ran too often": ["job c2 ran 2 times, 1 are accounted for"]}


async def test_starts_beyond_a_limit_are_found_if_their_runs_began(books: Books, redis: Redis) -> None:
    for number in range(23):  # 20 at once, and one more every 25 ms
        await books.starts(number, "metered=1", 10_000_000 + number)
    await redis.xadd(KEYS.starts, {"job": "c99", "limits": "metered=1", "attempt": 1, "now": 10_000_030})

    assert await books.findings() == {"over a limit": ["3 tokens of metered too many in some window"]}


async def test_starts_beyond_what_was_permitted_for_a_while_are_found(books: Books) -> None:
    for number in range(3):
        await books.starts(number, "metered=1", 10_000_000 + number * 100_000)
    books.ledger.spells.append(Spell("metered", 10_000_000, 10_150_000, most=1))

    assert list(await books.findings()) == ["over a limit"]
