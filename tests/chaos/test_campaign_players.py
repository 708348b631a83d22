"""The guards of the accounts of a campaign's players: each must be able to fail."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import BatchProgress, Runner
from runner.jobs import ScheduleSpec, ScheduleStatus
from tests.chaos.campaign.books import Books
from tests.chaos.campaign.calls import NEW, OLD
from tests.chaos.campaign.ledger import KEYS
from tests.chaos.campaign.players.diary import Diary, End, Run, Start
from tests.chaos.campaign.players.flows import Family, Flows, wrong_with
from tests.chaos.campaign.players.handlers import Handlers
from tests.chaos.campaign.players.history import miscounted
from tests.chaos.campaign.players.pauses import LIMITED, PLAIN, Load, Paused, Pauses
from tests.chaos.campaign.players.player import Stage
from tests.chaos.campaign.players.pools import Pools
from tests.chaos.campaign.players.schedules import instants_of, overlapping, unaccounted
from tests.chaos.campaign.players.unique import Answer, UniqueJobs

S = 1_000_000


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def stage(diary: Diary) -> Stage:
    """One on which nobody asks anything of Redis."""
    nobody: Any = None
    return Stage({OLD: Runner("q"), NEW: Runner("q")}, nobody, nobody, diary, Counter(), 1, 0.0)


def ended(diary: Diary, job: str, state: str, at_us: int, **more: Any) -> None:
    diary.ends[job].append(End("task", state, 1, at_us, **more))


# The diary


async def test_what_becomes_of_jobs_with_names_is_read_from_the_same_places(books: Books, redis: Redis) -> None:
    diary = books.ledger.diary
    diary.accepted.update({"flows-1", "flows-2"})
    await redis.hset(
        KEYS.job("flows-1"),
        mapping={"submitted": 5 * S, "error": '{"type": "RuntimeError"}', "failures": 1, "progress": "[2, 3, 5, null, 7]"},
    )
    await redis.pexpire(KEYS.job("flows-1"), 60_000)
    await redis.xadd(KEYS.starts, {"job": "flows-1", "limits": "", "attempt": 2, "now": 7 * S})
    await redis.xadd(KEYS.history, {"job": "flows-1", "task": "flows_leaf", "state": "failed", "attempt": 2})
    books.told("play", "flows-1", 2, 8 * S, "some", "words")
    books.told("over", "flows-1", 2, 9 * S, "raised")

    assert await books.findings() == {"lost": ["job flows-2 was accepted and has not ended"]}
    assert diary.starts["flows-1"] == [Start(2, 7 * S)]
    assert diary.runs["flows-1"] == [Run(2, 8 * S, ("some", "words"))]
    assert diary.left["flows-1", 2] == "raised"
    (end,) = diary.ends["flows-1"]
    assert (end.state, end.attempt, end.submitted_us, end.error, end.most_runs) == ("failed", 2, 5 * S, "RuntimeError", 2)
    assert end.progress == (3, 5)
    assert 0 < (end.kept_ms or 0) <= 60_000
    assert books.ledger.states == {"failed": 1}


def test_jobs_with_names_that_end_or_run_too_often_or_fail_unasked_are_found(diary: Diary) -> None:
    for job in ("twice", "twice", "again", "again"):
        ended(diary, job, "succeeded", S)
    diary.again["again"] += 1
    ended(diary, "failed", "failed", S, error="InvalidArguments")
    ended(diary, "often", "succeeded", S, most_runs=1)
    ended(diary, "stopped", "succeeded", S, most_runs=1)
    for attempt in (1, 2):
        diary.note("play", ["often", str(attempt), "1"])
        diary.note("play", ["stopped", str(attempt), "1"])
    diary.note("over", ["stopped", "1", "1", "stopped"])
    diary.note("play", ["begun", "1", "1"])
    diary.note("play", ["begun", "1", "1"])

    named = {what: [re.findall(r"job (\w+)", text)[0] for text in texts] for what, texts in diary.findings().items()}
    assert named == {
        "lost": [],
        "accepted twice": ["twice"],
        "dead letters": ["failed"],
        "ran twice": ["begun"],
        "ran too often": ["often"],
    }


# Schedules


def status(made: int, missed: int = 0, skipped: int = 0, refused: int = 0, **more: Any) -> ScheduleStatus:
    """A schedule of each second since 100 s, of which those up to 110 s are settled: ten instants."""
    spec = ScheduleSpec("beat", "beat", every_us=S)
    settled = ScheduleStatus("beat", spec, False, "active", last_at=110.0, anchor_us=100 * S, **more)
    return replace(settled, made=made, missed=missed, skipped=skipped, refused=refused)


@pytest.mark.parametrize(
    ("schedule", "is_found"),
    [
        (status(10), False),
        (status(7, 1, 1, 1), False),
        (status(9, queued_at=111.0), False),
        (status(9), True),
        (status(11), True),
        (status(10, skipped=1), True),
    ],
)
def test_an_instant_that_is_in_no_count_or_in_two_is_found(schedule: ScheduleStatus, *, is_found: bool) -> None:
    assert bool(unaccounted(schedule, was_paused=False)) is is_found


def test_the_instants_of_a_pause_are_in_no_count_and_none_is_in_two() -> None:
    assert unaccounted(status(5), was_paused=True) == []
    assert unaccounted(status(11), was_paused=True) != []


def test_the_instants_of_a_calendar_are_counted_one_by_one() -> None:
    spec = ScheduleSpec("beat", "beat", cron="*/2 * * * *")
    assert instants_of(ScheduleStatus("beat", spec, True, "active", last_at=600.0, anchor_us=100 * S)) == 5


def test_a_run_that_is_made_before_the_one_before_has_ended_is_found() -> None:
    ends = [("a", End("beat", "succeeded", 1, 2 * S, 1 * S)), ("b", End("beat", "succeeded", 1, 4 * S, 2 * S))]
    late = ("c", End("beat", "succeeded", 1, 6 * S, 3 * S))

    assert overlapping("beat", ends) == []
    assert overlapping("beat", [*ends, late]) == ["c was made 1000 ms before b of beat had ended"]


# Unique jobs


def unique(stage: Stage, task: str, *answers: tuple[int, str, str, int], is_repeated: bool = False) -> UniqueJobs:
    """Submissions with their number, the job that stands for them, how, and when they were asked for."""
    player = UniqueJobs(stage)
    player.answers[task, "m"] = [Answer(number, f"unique-{number}", job, said, at_us, is_repeated) for number, job, said, at_us in answers]
    return player


@pytest.mark.parametrize(("task", "is_found"), [("until_end", True), ("replaced", False), ("for_a_while", True)])
async def test_two_jobs_with_one_mark_at_once_are_found(stage: Stage, task: str, *, is_found: bool) -> None:
    ended(stage.diary, "unique-1", "succeeded", 3 * S, submitted_us=1 * S)
    ended(stage.diary, "unique-2", "succeeded", 5 * S, submitted_us=2 * S + 500_000)
    stage.diary.starts["unique-1"].append(Start(1, 2 * S))
    player = unique(stage, task, (1, "unique-1", "queued", S), (2, "unique-2", "queued", 2 * S))

    assert bool((await player.findings())["not unique"]) is is_found


@pytest.mark.parametrize("is_repeated", [False, True])
async def test_a_submission_that_is_sent_to_a_job_that_had_ended_is_found(stage: Stage, *, is_repeated: bool) -> None:
    ended(stage.diary, "unique-1", "succeeded", 3 * S, submitted_us=1 * S)
    well = unique(stage, "until_end", (1, "unique-1", "queued", S), (2, "unique-1", "existing", 2 * S))
    late = unique(stage, "until_end", (2, "unique-1", "existing", 4 * S), is_repeated=is_repeated)

    assert (await well.findings())["sent to nobody"] == []
    assert bool((await late.findings())["sent to nobody"]) is not is_repeated


async def test_a_run_with_other_words_than_the_newest_is_found(stage: Stage) -> None:
    asked = [(1, "unique-1", "queued", S), (2, "unique-1", "replaced", 2 * S)]
    stage.diary.runs["unique-1"].append(Run(1, 3 * S, ("2",)))
    assert (await unique(stage, "replaced", *asked).findings())["old words"] == []

    stage.diary.runs["unique-1"].append(Run(2, 4 * S, ("1",)))
    assert len((await unique(stage, "replaced", *asked).findings())["old words"]) == 1


# Flows


@pytest.mark.parametrize(
    ("policy", "parent", "child", "is_found"),
    [
        ("cancel", "succeeded", "succeeded", False),
        ("run", "failed", "succeeded", False),
        ("cancel", "failed", "cancelled", False),
        ("fail", "cancelled", "failed", False),
        ("cancel", "failed", "succeeded", True),
        ("fail", "failed", "cancelled", True),
        ("run", "failed", "cancelled", True),
        ("cancel", "succeeded", "cancelled", True),
        ("run", "succeeded", "", True),
    ],
)
async def test_a_job_that_ends_otherwise_than_its_policy_says_is_found(
    stage: Stage, policy: Any, parent: str, child: str, *, is_found: bool
) -> None:
    player = Flows(stage)
    player.families.append(Family("child", ("a", "b"), policy))
    ended(stage.diary, "a", "succeeded", S)
    ended(stage.diary, "b", parent, 2 * S)
    if child:
        ended(stage.diary, "child", child, 3 * S)

    assert bool((await player.findings()).get("flow")) is is_found


async def test_a_job_that_starts_before_its_parents_have_ended_or_reads_something_else_of_them_is_found(stage: Stage) -> None:
    player = Flows(stage)
    player.families.append(Family("child", ("a", "b"), "run"))
    ended(stage.diary, "a", "succeeded", S)
    ended(stage.diary, "b", "failed", 2 * S)
    ended(stage.diary, "child", "succeeded", 4 * S)
    stage.diary.starts["child"].append(Start(1, 2 * S))
    stage.diary.runs["child"].append(Run(1, 2 * S, ("succeeded", "failed")))
    assert (await player.findings())["flow"] == []

    stage.diary.starts["child"][0] = Start(1, 2 * S - 1)
    stage.diary.runs["child"][0] = Run(1, 2 * S, ("succeeded", "pending"))
    assert len((await player.findings())["flow"]) == 2


def test_a_batch_that_does_not_add_up_is_found() -> None:
    states = ["succeeded", "succeeded", "failed"]
    well = BatchProgress("b", 3, 0, 2, 1, 0, 0, 0, "run", None, 1.0, 2.0, 3.0)
    wrong = [
        BatchProgress("b", 4, 1, 2, 1, 0, 0, 0, "run", None, 1.0, 2.0, 3.0),
        BatchProgress("b", 3, 0, 3, 0, 0, 0, 0, "run", None, 1.0, 2.0, 3.0),
        BatchProgress("b", 3, 0, 2, 1, 0, 0, 0, "run", None, 1.0, 2.0, None),
    ]

    assert wrong_with(well, states) == []
    assert all(wrong_with(each, states) for each in wrong)


# Pools, pauses, handlers, history


async def test_a_run_by_a_worker_of_other_pools_is_found(stage: Stage) -> None:
    player = Pools(stage)
    player.pool_of = {"a": "side", "b": "deep"}
    stage.diary.runs["a"].append(Run(1, S, ("side,default",)))
    stage.diary.runs["b"].append(Run(1, S, ("side,default",)))

    assert await player.findings() == {"pool": ["b of pool deep was run by a worker of side,default"]}


@pytest.mark.parametrize(
    ("pause", "found"),
    [
        (("queue", ""), {"plain", "limited"}),
        (("task", PLAIN), {"plain"}),
        (("key", "values/v1"), {"limited"}),
        (("key", "values/v2"), set()),
        (("pool", "side"), {"limited"}),
    ],
)
async def test_a_start_within_a_pause_that_concerns_the_job_is_found(stage: Stage, pause: Any, found: set[str]) -> None:
    player = Pauses(stage)
    player.loads = {"plain": Load(PLAIN, "v1", "default"), "limited": Load(LIMITED, "v1", "side")}
    player.pauses.append(Paused(pause[0], pause[1], 10 * S, 12 * S))
    for job in player.loads:
        stage.diary.starts[job] += [Start(1, 9 * S), Start(2, 11 * S), Start(3, 13 * S)]

    started = (await player.findings())["started in a pause"]
    assert {text.split()[3] for text in started} == found
    assert all(text.startswith("attempt 2 ") for text in started)


@pytest.mark.parametrize(
    ("task", "end", "is_found"),
    [
        ("hooked", End("hooked", "succeeded", 1, S), False),
        ("hooked", End("hooked", "failed", 1, S, error="RuntimeError"), True),
        ("depending", End("depending", "succeeded", 3, S), False),
        ("depending", End("depending", "succeeded", 2, S), True),
        ("hopeless", End("hopeless", "failed", 9, 4 * S, S, "DeadlineExceeded"), False),
        ("hopeless", End("hopeless", "failed", 4, 4 * S, S, "RuntimeError"), True),
        ("hopeless", End("hopeless", "expired", 4, 4 * S, S), False),
        ("hopeless", End("hopeless", "expired", 4, 3 * S, S), True),
        ("telling", End("telling", "succeeded", 1, S, S, progress=(5, 5)), False),
        ("telling", End("telling", "succeeded", 1, S, S, progress=(4, 5)), True),
        ("telling", End("telling", "succeeded", 1, S), False),
        ("brief", End("brief", "succeeded", 1, S, S, kept_ms=5_000), False),
        ("brief", End("brief", "succeeded", 1, S, S, kept_ms=5_001), True),
    ],
)
async def test_a_job_that_comes_to_another_end_than_its_handler_says_is_found(stage: Stage, task: str, end: End, *, is_found: bool) -> None:
    player = Handlers(stage)
    player.task_of["job"] = task
    stage.diary.ends["job"].append(end)

    assert any((await player.findings()).values()) is is_found


def test_an_outcome_that_is_counted_twice_or_not_is_found() -> None:
    assert miscounted({"succeeded": 2, "failed": 0}, {"succeeded": 2}) == []
    assert miscounted({"succeeded": 3}, {"succeeded": 2, "expired": 1}) == [
        "3 jobs are counted as succeeded, and 2 were",
        "0 jobs are counted as expired, and 1 were",
    ]
