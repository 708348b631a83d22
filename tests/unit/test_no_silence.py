"""What cannot be meant as it is written is refused where it is written, with the near word; nothing is ignored."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner import (
    Backoff,
    Client,
    Concurrency,
    ConfigurationError,
    GiveUp,
    JobOptions,
    Quota,
    RateLimited,
    Runner,
    SlidingWindow,
    TokenBucket,
)
from runner.errors import ExceedsCapacity, InvalidOption, SubmissionRefused
from runner.jobs.calls import Calls
from runner.jobs.submission import max_wait_us
from runner.jobs.task_spec import TaskSpec
from runner.limits import need_of
from runner.limits.rates import parse_rate

PAY = TokenBucket("pay", rate="10/s", burst=5)
STRANGE: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    -1,
    True,
    "1",
    b"1",
    timedelta(seconds=1),
    datetime.now(UTC),
    [1],
    {},
    object(),
    10**400,
    1j,
]


def declare(**options: Any) -> None:
    @Runner("q").task(**options)
    async def charge(order: str) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": [PAY]}, r"^task 'charge' has no option 'limit'; did you mean 'limits'\?$"),
        ({"max_retries": 0}, r"^task 'charge' has no option 'max_retries'; did you mean 'retries'\?$"),
        ({"speed": 0}, r"^task 'charge' has no option 'speed' \(it has: name, limits, cost, .*result_ttl\)$"),
        ({"limits": PAY}, r"^task 'charge': limits is TokenBucket\('pay'.*, and must be a list of limits"),
        ({"limits": "pay"}, "limits is 'pay', and must be a list of limits"),
        ({"limits": ["pay"]}, r"limits is \['pay'\], and must be a list of limits"),
        ({"cost": {"pay": 2.5}, "limits": [PAY]}, "cost is .*, and must be tokens by limit name"),
        ({"cost": {"pay": True}, "limits": [PAY]}, "cost is .*, and must be tokens by limit name"),
        ({"cost": 3}, "cost is 3, and must be tokens by limit name"),
        ({"cost": {"pay": 6}, "limits": [PAY]}, r"cost 6 of limit 'pay' is more than its bucket can ever hold \(5\)"),
        ({"priority": ["high"]}, "priority is .*, and must be one of high, normal, low"),
        ({"on_expiry": "explode"}, "on_expiry is 'explode', and must be one of expire, fail"),
        ({"backoff": 3}, "backoff is 3, and must be a Backoff"),
        ({"fair_by": 3}, "fair_by is 3, and must be a text that names arguments"),
        ({"fair_by": "order"}, r"^task 'charge': fair_by 'order' must name arguments in braces, like \"{tenant_id}\"$"),
        ({"fair_by": ""}, "fair_by '' must name arguments in braces"),
        ({"fair_by": "{order!r}"}, "must name arguments in braces"),
        ({"fair_by": "{order:>9}"}, "must name arguments in braces"),
        ({"retry_on": ConnectionError}, "retry_on is <class 'ConnectionError'>, and must be a list of exception classes, like"),
        ({"retry_on": ["ConnectionError"]}, "retry_on is .*, and must be a list of exception classes"),
        ({"retry_on": "OSError"}, "retry_on is 'OSError', and must be a list of exception classes"),
        ({"dont_retry_on": (ValueError("x"),)}, "dont_retry_on is .*, and must be a list of exception classes"),
        ({"dont_retry_on": (int,)}, "dont_retry_on is .*, and must be a list of exception classes"),
        ({"dont_retry_on": None}, "dont_retry_on is None, and must be"),
        ({"retry_on": (GiveUp,)}, "retry_on has GiveUp, which says itself what becomes of its job; leave it out"),
        ({"dont_retry_on": (RateLimited,)}, "dont_retry_on has RateLimited, which says itself"),
        (
            {"retry_on": (ConnectionResetError,), "dont_retry_on": (OSError,)},
            "retry_on has ConnectionResetError, which is never retried, as dont_retry_on has OSError; leave one out",
        ),
        ({"retries": None}, "retries is None, for retries without end, and needs a deadline: deadline=3600"),
        ({"retries": None, "deadline": None}, "needs a deadline"),
        ({"deadline": 0}, "deadline of a job is 0, and must be a number of seconds from 0.001 to 31622400"),
        ({"deadline": "1 h"}, "deadline of a job is '1 h', and must be a number"),
        ({"retry_for": 3}, "has no option 'retry_for'; did you mean 'retry_on'"),
        ({"fair_by": "{order.id}"}, "must name arguments in braces"),
        ({"fair_by": "{order"}, "fair_by '{order' is not a template: expected '}'"),
        ({"name": ""}, "name is '', and must be a text of 1 to 200 characters that can be printed"),
        ({"name": "a\nb"}, "name is .*, and must be a text of 1 to 200 characters"),
        ({"name": "\ud800"}, "name is .*, and must be a text of 1 to 200 characters"),
        ({"name": "x" * 201}, "must be a text of 1 to 200 characters"),
        ({"weights": ["a"]}, "weights is .*, and must be whole numbers"),
        ({"weights": {"a": 1_001}}, "share 'a': weight is 1001, and must be a whole number from 1 to 1000"),
        ({"name": 3}, "name is 3, and must be a text"),
        (
            {"timeout": timedelta(minutes=1)},
            r"^task 'charge': timeout is .*, and must be a number of seconds from .*total_seconds\(\), 60$",
        ),
    ],
)
def test_an_option_of_a_task_that_means_nothing_is_refused_at_its_declaration(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        declare(**options)


@pytest.mark.parametrize("option", ["timeout", "result_ttl", "max_wait", "retries", "max_throttled"])
def test_a_number_of_a_task_is_a_number_in_its_range(option: str) -> None:
    for value in STRANGE:
        with pytest.raises(ConfigurationError, match=f"^task 'charge': {option} is "):
            declare(**{option: value})
    if option != "retries":
        declare(**{option: None})


def submit(options: Any) -> None:
    Calls(TaskSpec("charge", {}), [], by_code=True).prepare(b"{}", options)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: JobOptions(dely=3), r"^a submission has no option 'dely'; did you mean 'delay'\?$"),  # type: ignore[arg-type]
        (lambda: submit({"delay": 3}), "give JobOptions"),
        (lambda: submit(JobOptions(run_at="tomorrow")), "run_at is 'tomorrow', and must be a datetime"),  # type: ignore[arg-type]
        (lambda: submit(JobOptions(priority=["high"])), "priority .* is unknown"),  # type: ignore[arg-type]
        (lambda: submit(JobOptions(cost=3)), "cost is 3, and must be tokens by limit name"),  # type: ignore[arg-type]
        (lambda: submit(JobOptions(id=3)), "job id 3 cannot be used"),  # type: ignore[arg-type]
    ],
)
def test_an_option_of_a_submission_that_means_nothing_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(SubmissionRefused, match=message):
        refused()


def test_with_options_names_the_option_that_was_meant() -> None:
    @Runner("q").task
    async def charge(order: str) -> None: ...

    with pytest.raises(InvalidOption, match=r"has no option 'max_wit'; did you mean 'max_wait'\?"):
        charge.with_options(max_wit=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", STRANGE)
def test_a_time_of_a_submission_is_a_number_in_its_range(value: object) -> None:
    with pytest.raises(InvalidOption, match=r"^delay is "):
        JobOptions(delay=value).delay_us()  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match=r"^max_wait is "):
        max_wait_us(TaskSpec("charge", {}), JobOptions(max_wait=value))  # type: ignore[arg-type]


LIMITS: list[tuple[type, dict[str, Any]]] = [
    (TokenBucket, {"name": "x", "rate": "10/s", "burst": 3, "key": "{id}", "debt": "kept"}),
    (TokenBucket, {"name": "x", "capacity": 10, "refill": 2, "every": 3}),
    (SlidingWindow, {"name": "x", "capacity": 10, "per": 60, "key": "{id}"}),
    (Concurrency, {"name": "x", "capacity": 10, "key": "{id}"}),
    (Quota, {"name": "x", "capacity": 10, "per": "day", "tz": "UTC", "on_exhausted": "park", "key": "{id}"}),
]


@pytest.mark.parametrize(("kind", "fields"), LIMITS)
def test_a_limit_is_declared_with_what_it_takes_or_refused(kind: type, fields: dict[str, Any]) -> None:
    assert kind(**fields)
    for name in fields:
        for value in STRANGE:
            if name == "name" and value == "1":
                continue
            with pytest.raises(ConfigurationError):
                kind(**{**fields, name: value})


@pytest.mark.parametrize(
    ("kind", "wrong", "near"), [(TokenBucket, "rat", "rate"), (SlidingWindow, "pre", "per"), (Quota, "on_exhaust", "on_exhausted")]
)
def test_an_option_that_a_kind_does_not_have_is_named_with_the_near_one(kind: type, wrong: str, near: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{kind.__name__} has no option '{wrong}'; did you mean '{near}'\?$"):
        kind("x", **{wrong: 3})
    with pytest.raises(ConfigurationError, match=r"^Concurrency has no option 'zzz' \(it has: name, capacity, key\)$"):
        Concurrency("x", 3, zzz=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("rate", ["\u0661\u0660/s", "10/\u0661s", "\uff11/s", 10, None, b"10/s"])
def test_a_rate_is_written_in_ascii_digits(rate: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not understood"):
        parse_rate(rate)


@pytest.mark.parametrize("cost", [2.9, True, "2", None, math.nan])
def test_a_taker_says_how_many_tokens_as_a_whole_number(cost: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^cost of limit 'pay' is .*: give a whole number of tokens, 1 or more$"):
        need_of(PAY, cost, {})
    with pytest.raises(ExceedsCapacity):
        need_of(PAY, 0, {})


@pytest.mark.parametrize("field", ["base", "factor", "cap"])
def test_a_backoff_is_made_of_numbers(field: str) -> None:
    for value in STRANGE:
        with pytest.raises(ConfigurationError, match=f"^Backoff: {field} is "):
            Backoff(**{field: value})


@pytest.mark.parametrize("timeout", [value for value in STRANGE if value is not None])
async def test_a_time_to_wait_for_a_result_is_a_number_in_its_range(timeout: object) -> None:
    async with Client("q", redis_url="redis://127.0.0.1:1") as client:
        for wait in (client.wait, client.result, client.job("a").wait, client.job("a").result):
            with pytest.raises(InvalidOption, match=r"^timeout of a wait is .*, and must be a number of seconds from 0 to 31622400"):
                await (wait("a", timeout=timeout) if wait in (client.wait, client.result) else wait(timeout=timeout))  # type: ignore[arg-type,call-arg]
