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
    Settings,
    SlidingWindow,
    TokenBucket,
    Worker,
)
from runner.asgi import RateLimitMiddleware
from runner.errors import ExceedsCapacity, InvalidOption, SubmissionRefused
from runner.http import create_app, router
from runner.http.dependencies import Opening
from runner.jobs.calls import Calls
from runner.jobs.submission import max_wait_us
from runner.jobs.task_spec import TaskSpec
from runner.limits import need_of
from runner.limits.rates import parse_rate
from tests.named import named

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
        ({"speed": 0}, r"^task 'charge' has no option 'speed' \(it has: name, limits, cost, .*result_ttl, .*executor, unique\)$"),
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
    with pytest.raises(ConfigurationError, match=r"^Concurrency has no option 'zzz' \(it has: name, capacity, key, jitter\)$"):
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


TENANT = TokenBucket("tenant", rate="10/s", key="{tenant_id}:{region}")


@pytest.mark.parametrize(
    ("limit", "key", "message"),
    [
        (PAY, {"tenant_id": "t7"}, r"^the key of limit 'pay' has no name 'tenant_id' \(it has: none\)$"),
        (
            TENANT,
            {"tenant_id": "t7", "region": "eu", "tenant": "t8"},
            r"^the key of limit 'tenant' has no name 'tenant'; did you mean 'tenant_id'\?$",
        ),
        (TENANT, {"tenantid": "t7", "region": "eu"}, r"^the key of limit 'tenant' has no name 'tenantid'; did you mean 'tenant_id'\?$"),
        (TENANT, {"tenant_id": "t7", "region": "eu", 7: "x"}, r"^the key of limit 'tenant' has no name 7 \(it has: tenant_id, region\)$"),
    ],
)
async def test_a_name_that_a_key_does_not_have_is_refused_by_every_taker(limit: TokenBucket, key: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        need_of(limit, 1, key)
    jobs = Runner("q", redis_url="redis://127.0.0.1:1")
    jobs.limit(limit)
    with pytest.raises(InvalidOption, match=message):
        await jobs.take(limit, key)
    with pytest.raises(InvalidOption, match=message):
        async with jobs.slot(limit, key):
            pass


@pytest.mark.parametrize("settings", [{}, {"concurrency": 5}, "redis://", 5, [], Settings, object(), b"", 0, False], ids=named)
def test_settings_of_another_type_are_refused_and_not_shown(settings: Any) -> None:
    words = rf"^settings is {type(settings).__name__}: give a Settings, like load_settings\(concurrency=20\)$"
    for make in (Runner, Client):
        with pytest.raises(ConfigurationError, match=words):
            make("q", settings=settings)


def test_a_url_beside_settings_is_refused_and_not_ignored() -> None:
    for make in (Runner, Client):
        with pytest.raises(ConfigurationError, match="redis_url and settings are both given"):
            make("q", redis_url="redis://one", settings=Settings())


@pytest.mark.parametrize(
    "odd",
    [{}, "jobs", 5, None, Runner, Client("q", redis_url="redis://127.0.0.1:1"), object()],
    ids=[f"odd{number}" for number in range(7)],
)
def test_a_worker_and_a_middleware_of_no_runner_are_refused(odd: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a Worker is given .*: give the Runner whose tasks it is to run"):
        Worker(odd)
    with pytest.raises(ConfigurationError, match=r"runner is .*: give the Runner whose limits these are"):
        RateLimitMiddleware(_app, runner=odd, rules=[])
    for rules in (odd, [odd]):
        with pytest.raises(ConfigurationError, match=r"rules hold .*: give a list of Rule\(limit=...\)"):
            RateLimitMiddleware(_app, runner=Runner("q"), rules=rules)


async def _app(*_: Any) -> None: ...


@pytest.mark.parametrize("odd", [{}, "jobs", 5, None, Runner, object(), True], ids=[f"odd{number}" for number in range(7)])
def test_a_service_of_no_queue_is_refused(odd: Any) -> None:
    for make in (create_app, router):
        with pytest.raises(ConfigurationError, match=r"queue is .*: give a Runner, a Client, or a function that opens a Client"):
            make(odd)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stopping": True}, "stopping is True: give an asyncio.Event"),
        ({"authorize": "anyone"}, "authorize is 'anyone': give a function"),
        ({"most_streams": "5"}, "most_streams is '5': give a whole number of streams"),
        ({"most_streams": -1}, "most_streams is -1: give a whole number of streams"),
        ({"most_streams": True}, "most_streams is True: give a whole number of streams"),
    ],
)
def test_the_options_of_a_service_are_checked(options: dict[str, Any], message: str) -> None:
    for make in (create_app, router):
        with pytest.raises(ConfigurationError, match=message):
            make(Runner("q"), **options)


def test_a_function_that_opens_no_client_is_named() -> None:
    with pytest.raises(ConfigurationError, match="the function given as queue returned 5: return a Client"):
        _ = Opening(lambda: 5, None).service  # type: ignore[arg-type, return-value] # that is what is tested
