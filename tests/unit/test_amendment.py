"""What versions of a task make of one job's needs: all agree, and none runs it without its own."""

import json
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BeforeValidator

from runner.errors import NeedsDiffer
from runner.jobs import Calls, JobOptions, StartedJob, TaskDefinition, TaskSpec
from runner.limits import Limit, TokenBucket, decode_needs

LIMITS = [TokenBucket(name, rate="1/s", burst=9, key=key) for name, key in (("a", None), ("b", "{x}"), ("c", "{x}:{y}"), ("d", None))]
ARGS = b'{"x":"t","y":7}'


def version(*limits: Limit, **fields: object) -> Calls:
    return Calls(TaskSpec("work", {}, tuple(limit.name for limit in limits), **fields), limits, by_code=True)  # type: ignore[arg-type]


def started(limits: str = "", spec: str = "") -> StartedJob:
    return StartedJob(1, b"1-0", "j", "work", ARGS, 1, 0, limits, spec)


def test_a_job_that_has_all_buckets_runs_whatever_else_it_has() -> None:
    job = version(LIMITS[0]).prepare(ARGS, JobOptions(cost={"a": 5}))

    assert version(LIMITS[0], cost={"a": 2}).amended(ARGS, started(job.limits, job.spec)) is None
    assert version(LIMITS[0], fair_by="{x}").amended(ARGS, started("a=5;z=1", "0a")) is None


def test_a_job_gets_the_bucket_of_a_new_limit_or_of_another_key_and_keeps_its_costs() -> None:
    amended = version(*LIMITS[:2], cost={"b": 3}, fair_by="{y}", weights={"7": 2}).amended(ARGS, started("a=5", "0a"))

    assert amended is not None
    assert (amended.limits, amended.line) == ("a=5;b/t=3", "1|a;b/t@7*2")
    other = version(LIMITS[1]).amended(ARGS, started("b/other=4", "0a"))
    assert other is not None
    assert other.limits == "b/t=1"


def test_a_version_that_amends_for_the_third_time_gives_up() -> None:
    calls = version(LIMITS[1])
    for times in (0, 1):
        assert calls.amended(ARGS, started("b/z=1", " ".join(["0a", *[calls.digest] * times]))) is not None
    with pytest.raises(NeedsDiffer, match=r"b/t=1 now and b/z=1 before: a validator of its arguments reads a clock, or chooses at random"):
        calls.amended(ARGS, started("b/z=1", f"0a {calls.digest} {calls.digest}"))


@given(st.lists(st.sets(st.sampled_from(LIMITS), min_size=1), min_size=1, max_size=4), st.data())
def test_versions_agree_after_one_amendment_each(sets: list[set[Limit]], data: st.DataObject) -> None:
    versions = [version(*sorted(limits, key=lambda limit: limit.name)) for limits in sets]
    job, ran, amendments = versions[0].prepare(ARGS, JobOptions()), 0, 0
    limits, spec = ("", "") if data.draw(st.booleans()) else (job.limits, job.spec)
    while ran < 10:
        at = data.draw(st.integers(0, len(versions) - 1))
        amended = versions[at].amended(ARGS, started(limits, spec))
        if amended is None:
            ran += 1
            assert {limit.name for limit in sets[at]} <= {need.limit for need in decode_needs(limits)}
            continue
        amendments += 1
        limits, spec = amended.limits, " ".join([amended.spec, *spec.split(" ")[1:], amended.spec])
    assert amendments <= len({calls.digest for calls in versions})


def test_the_digest_is_the_same_by_name_and_changes_with_what_needs_come_from() -> None:
    def work(x: str, y: int = 3) -> None: ...

    task = TaskDefinition.of(work, {"limits": LIMITS[:3], "cost": {"a": "y"}})
    spec = TaskSpec.from_json(json.loads(task.spec.to_json()))

    assert Calls(spec, LIMITS[:3], by_code=False).digest == task.calls.digest
    others = [
        {"limits": LIMITS[:2]},
        {"limits": LIMITS[:3], "cost": {"a": 2}},
        {"limits": LIMITS[:3], "cost": {"a": "y"}, "fair_by": "{x}"},
    ]
    assert len({TaskDefinition.of(work, options).calls.digest for options in others} | {task.calls.digest}) == 4  # type: ignore[arg-type]


def test_a_key_that_a_validator_changes_is_the_one_that_the_handler_sees() -> None:
    def work(x: Annotated[str, BeforeValidator(str.lower)]) -> None: ...

    task = TaskDefinition.of(work, {"limits": [LIMITS[1]]})
    arguments = task.arguments.decode(b'{"x":"T"}')
    amended = task.calls.amended(task.arguments.encode_again(arguments), started("", "0a"))

    assert amended is not None
    assert amended.limits == "b/t=1"
