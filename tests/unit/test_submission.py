"""From a call to a submission: cost, buckets, priority, time; nothing that could never start is accepted."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from runner.client.app import Runner
from runner.errors import ConfigurationError, ExceedsCapacity, InvalidArguments, InvalidJobId, InvalidOption, StartOutOfRange, UnknownLimit
from runner.jobs.job import PriorityName
from runner.jobs.job_options import JobOptions
from runner.jobs.submission import Submission, prepare
from runner.jobs.task_spec import TaskSpec
from runner.limits import Limit, TokenBucket

TOKENS = TokenBucket("tokens", rate="1000/s")
TENANT = TokenBucket("tenant", rate="10/s", key="{tenant}")


def call(
    *limits: Limit,
    cost: dict[str, int | str] | None = None,
    args: dict[str, Any] | None = None,
    priority: str = "normal",
    options: JobOptions | None = None,
) -> Submission:
    spec = TaskSpec("work", {}, tuple(limit.name for limit in limits), cost or {}, priority)
    return prepare(spec, limits, b'{"n":1}', args or {}, options or JobOptions())


def test_a_task_without_limits_needs_nothing() -> None:
    submission = call()

    assert (submission.task, submission.args, submission.limits, submission.line) == ("work", b'{"n":1}', "", "")
    assert (submission.priority, submission.delay_us, len(submission.id)) == (1, 0, 20)


def test_each_limit_costs_one_token_unless_said_otherwise() -> None:
    submission = call(TOKENS, TENANT, args={"tenant": "t7"})

    assert (submission.limits, submission.line) == ("tenant/t7=1;tokens=1", "1|tenant/t7;tokens")


def test_a_cost_may_be_fixed_by_the_task() -> None:
    assert call(TOKENS, cost={"tokens": 800}).limits == "tokens=800"


def test_a_cost_may_be_taken_from_an_argument() -> None:
    assert call(TOKENS, cost={"tokens": "size"}, args={"size": 42}).limits == "tokens=42"


@pytest.mark.parametrize("cost", [{}, {"tokens": 800}, {"tokens": "size"}])
def test_a_cost_given_with_the_job_comes_before_that_of_the_task(cost: dict[str, int | str]) -> None:
    assert call(TOKENS, cost=cost, args={"size": 42}, options=JobOptions(cost={"tokens": 7})).limits == "tokens=7"


def test_a_cost_of_nothing_needs_nothing() -> None:
    assert call(TOKENS, TENANT, args={"tenant": "t7"}, options=JobOptions(cost={"tokens": 0})).limits == "tenant/t7=1"


@pytest.mark.parametrize("size", [-1, 1.5, "7", None, True, [1], 10.0])
def test_a_cost_that_is_no_whole_number_is_refused(size: object) -> None:
    message = f"cost of limit 'tokens' is {size!r}: give a whole number of tokens, 0 or more"
    with pytest.raises(InvalidOption, match=f"^{re.escape(message)}$"):
        call(TOKENS, cost={"tokens": "size"}, args={"size": size})


def test_a_cost_argument_that_is_missing_is_refused() -> None:
    with pytest.raises(InvalidOption, match="cost of limit 'tokens' is None"):
        call(TOKENS, cost={"tokens": "size"}, args={})


def test_more_than_the_bucket_can_ever_hold_is_refused() -> None:
    assert call(TOKENS, options=JobOptions(cost={"tokens": 1000})).limits == "tokens=1000"
    message = "cost 1001 of limit 'tokens' is more than its bucket can ever hold (1000)"
    with pytest.raises(ExceedsCapacity, match=f"^{re.escape(message)}$"):
        call(TOKENS, options=JobOptions(cost={"tokens": 1001}))


def test_a_cost_for_a_limit_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownLimit, match=r"^task 'work' has no limit 'tokns' to charge \(its limits: tokens\)$"):
        call(TOKENS, options=JobOptions(cost={"tokns": 1}))
    with pytest.raises(UnknownLimit, match=r"\(its limits: none\)$"):
        call(options=JobOptions(cost={"tokens": 1}))


@pytest.mark.parametrize("args", [None, {}, {"tenant": None}])
def test_a_key_without_its_argument_is_refused(args: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidArguments, match="limit 'tenant' takes its key from argument 'tenant', which is None"):
        call(TENANT, args=args)


@pytest.mark.parametrize(("name", "number"), [("high", 0), ("normal", 1), ("low", 2)])
def test_a_priority_given_with_the_job_comes_before_that_of_the_task(name: PriorityName, number: int) -> None:
    assert call(priority=name).priority == number
    assert call(priority="low", options=JobOptions(priority=name)).priority == number


def test_an_unknown_priority_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"^priority 'urgent' is unknown \(known: high, normal, low\)$"):
        call(options=JobOptions(priority="urgent"))  # type: ignore[arg-type] # the fault under test


def test_an_id_of_the_callers_own_is_kept_and_checked() -> None:
    assert call(options=JobOptions(id="order:17")).id == "order:17"
    for bad in ("", "a b"):
        with pytest.raises(InvalidJobId):
            call(options=JobOptions(id=bad))


# Time


@pytest.mark.parametrize(
    ("delay", "delay_us"), [(0, 0), (1.5, 1_500_000), (0.0000004, 0), (0.000001, 1), (366 * 86_400, 366 * 86_400_000_000)]
)
def test_a_delay_is_in_seconds(delay: float, delay_us: int) -> None:
    assert JobOptions(delay=delay).delay_us() == delay_us
    assert JobOptions().delay_us() == 0


@pytest.mark.parametrize("delay", [-1, -0.001, 366 * 86_400 + 1, float("inf"), float("nan"), float("-inf")])
def test_a_delay_out_of_range_is_refused(delay: float) -> None:
    message = f"delay is {delay!r}, and must be a number of seconds from 0 to 31622400 (366 days)"
    with pytest.raises(StartOutOfRange, match=f"^{re.escape(message)}$"):
        JobOptions(delay=delay).delay_us()


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=9))])
def test_an_instant_is_left_to_the_clock_of_redis(zone: timezone) -> None:
    assert JobOptions(run_at=datetime(2020, 1, 1, 0, 0, 0, 1, UTC).astimezone(zone)).delay_us() == -1_577_836_800_000_001


def test_an_instant_before_1970_is_now() -> None:
    assert JobOptions(run_at=datetime(1960, 1, 1, tzinfo=UTC)).delay_us() == 0


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(StartOutOfRange, match=r"^run_at 2030-01-01T00:00:00 has no time zone: add one, like \+00:00$"):
        JobOptions(run_at=datetime(2030, 1, 1)).delay_us()  # noqa: DTZ001 - that is what is tested


@pytest.mark.parametrize("delay", [0, 5])
def test_a_delay_and_an_instant_exclude_each_other(delay: float) -> None:
    with pytest.raises(InvalidOption, match=r"^delay and run_at exclude each other: give one$"):
        JobOptions(delay=delay, run_at=datetime.now(UTC)).delay_us()


# The published spec


def test_a_spec_makes_the_round_through_json() -> None:
    spec = TaskSpec("work", {"properties": {"a": {"default": 3}}}, ("tokens",), {"tokens": "size"}, "low", "Does it.")

    assert TaskSpec.from_json(json.loads(spec.to_json())) == spec
    assert spec.defaults() == {"a": 3}
    assert TaskSpec("work", {}).defaults() == {}


def test_two_functions_of_one_name_are_refused() -> None:
    jobs = Runner("q", redis_url="redis://nowhere")
    jobs.task(name="work")(lambda: None)

    with pytest.raises(ConfigurationError, match=r"^task 'work' is registered twice on queue 'q': .*; name one$"):
        jobs.task(name="work")(lambda: 1)


def test_a_limit_given_twice_to_a_task_is_refused() -> None:
    limit = TokenBucket("tokens", rate="1/s")

    with pytest.raises(
        ConfigurationError, match=r"^task 'work': limit 'tokens' is given twice; give it once, and a cost to take more than one token$"
    ):

        @Runner("q", redis_url="redis://nowhere").task(limits=[limit, limit])
        async def work() -> None: ...


def test_calls_that_read_no_argument_need_the_same_by_priority_and_by_their_own_costs() -> None:
    app = Runner("needs-of-calls")

    @app.task(limits=[TOKENS])
    async def work(n: int) -> None:
        """Nothing."""

    made = [
        work.with_options(priority=priority, cost=cost).prepare(1) for priority in ("high", "low") for cost in (None, {"tokens": 3}) * 2
    ]

    assert [(one.limits, one.line) for one in made] == [
        (f"tokens={cost}", f"{priority}|tokens") for priority in (0, 2) for cost in (1, 3) * 2
    ]
