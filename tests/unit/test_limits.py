"""Declaring a limit: what is understood, and what is refused with a message that helps."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from runner.errors import ConfigurationError
from runner.limits import EXACT, Limit, SlidingWindow, TokenBucket
from runner.limits.rates import parse_rate

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("rate", "tokens", "every_us"),
    [
        ("10/s", 10, SECOND),
        ("1/sec", 1, SECOND),
        ("1/second", 1, SECOND),
        ("100/min", 100, 60 * SECOND),
        ("100/m", 100, 60 * SECOND),
        ("100/minute", 100, 60 * SECOND),
        ("5/h", 5, 3600 * SECOND),
        ("5/hour", 5, 3600 * SECOND),
        ("1000/day", 1000, 86_400 * SECOND),
        ("1000/d", 1000, 86_400 * SECOND),
        ("3/ms", 3, 1000),
        ("3/250ms", 3, 250_000),
        ("5/10s", 5, 10 * SECOND),
        ("  5 / 10 s ", 5, 10 * SECOND),
        ("007/01s", 7, SECOND),
    ],
)
def test_a_rate_in_words_is_understood(rate: str, tokens: int, every_us: int) -> None:
    assert parse_rate(rate) == (tokens, every_us)


@pytest.mark.parametrize(
    "rate", ["", "10", "/s", "10/", "ten/s", "10/fortnight", "10 per s", "-1/s", "1.5/s", "1/1.5s", "10/s/s", "10/S", "1e3/s"]
)
def test_any_other_rate_is_refused_with_examples(rate: str) -> None:
    message = f'rate {rate!r} is not understood: write tokens per time, like "10/s", "100/min", "5/10s" or "1000/day"'
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        parse_rate(rate)


@pytest.mark.parametrize("rate", ["0/s", "10/0s", "0/0s"])
def test_a_rate_of_nothing_is_refused(rate: str) -> None:
    with pytest.raises(ConfigurationError, match=f"rate '{rate}' never lets anything through: tokens and time must be at least 1"):
        parse_rate(rate)


def test_a_rate_makes_a_smooth_bucket_whose_burst_is_its_tokens() -> None:
    limit = TokenBucket("x", rate="10/s")

    assert (limit.smooth, limit.capacity, limit.refill, limit.every_us) == (True, 10, 10, SECOND)
    assert TokenBucket("x", rate="10/s", burst=3).capacity == 3


def test_a_smooth_bucket_counts_in_the_smallest_whole_credits() -> None:
    limit = TokenBucket("x", rate="1000/day")

    assert (limit.step_us, limit.credits_a_step, limit.credits_a_token) == (1, 1, 86_400_000)


def test_capacity_refill_and_every_make_an_interval_bucket() -> None:
    limit = TokenBucket("x", capacity=10, refill=2, every=10)

    assert (limit.smooth, limit.capacity, limit.refill, limit.every_us) == (False, 10, 2, 10 * SECOND)
    assert (limit.step_us, limit.credits_a_step, limit.credits_a_token) == (10 * SECOND, 2, 1)
    assert TokenBucket("x", capacity=1, refill=1, every=0.000001).step_us == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"burst": 3},
        {"capacity": 3},
        {"capacity": 3, "refill": 1},
        {"capacity": 3, "every": 1},
        {"refill": 3, "every": 1},
        {"rate": "1/s", "capacity": 3},
        {"rate": "1/s", "refill": 3},
        {"rate": "1/s", "every": 3},
        {"burst": 3, "capacity": 3, "refill": 1, "every": 1},
        {"rate": "1/s", "burst": 3, "capacity": 3, "refill": 1, "every": 1},
    ],
)
def test_a_mixed_or_incomplete_declaration_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^limit 'x': give either rate \(and burst\), or capacity, refill and every$"):
        TokenBucket("x", **fields)


@pytest.mark.parametrize(
    ("fields", "field", "value"),
    [
        ({"rate": "1/s", "burst": 0}, "burst", "0"),
        ({"rate": "1/s", "burst": -1}, "burst", "-1"),
        ({"rate": "1/s", "burst": 1.5}, "burst", "1.5"),
        ({"rate": "1/s", "burst": True}, "burst", "True"),
        ({"capacity": 0, "refill": 1, "every": 1}, "capacity", "0"),
        ({"capacity": 1, "refill": 0, "every": 1}, "refill", "0"),
        ({"capacity": 1, "refill": 1.0, "every": 1}, "refill", "1.0"),
        ({"capacity": EXACT // 4, "refill": 1, "every": 1}, "capacity", str(EXACT // 4)),
        ({"capacity": 1, "refill": EXACT // 4, "every": 1}, "refill", str(EXACT // 4)),
    ],
)
def test_a_number_that_cannot_work_is_refused_and_named(fields: dict[str, Any], field: str, value: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"^limit 'x': {field} is {value}, and must be a whole number from 1 to {EXACT // 1024 - 1}$"
    ):
        TokenBucket("x", **fields)


@pytest.mark.parametrize("every", [float("nan"), float("inf"), float("-inf"), 0, -1, 0.0000001, EXACT / 1024 / SECOND])
def test_a_time_that_is_no_number_is_refused(every: float) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"^limit 'x': every is {every}, and must be a number of seconds from 0.000001 to 8640000 \(100 days\)$"
    ):
        TokenBucket("x", capacity=1, refill=1, every=every)


@pytest.mark.parametrize(
    "fields",
    [
        {"rate": "1/100d", "burst": 300},
        {"rate": "7/day", "burst": 10**6},
    ],
)
def test_numbers_beyond_exact_arithmetic_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^limit 'x': .* tokens at .* is beyond exact arithmetic; use a smaller burst or a rounder rate$"
    ):
        TokenBucket("x", **fields)


def test_the_largest_exact_numbers_are_accepted() -> None:
    TokenBucket("x", capacity=EXACT // 1024 - 1, refill=1, every=1)
    TokenBucket("x", capacity=1, refill=EXACT // 1024 - 1, every=1)
    TokenBucket("x", rate="1/100d", burst=260)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "a=b", "a;b", "{a}", "ä", "x" * 65, "a\n"])
def test_a_name_that_cannot_be_part_of_a_key_is_refused(name: str) -> None:
    message = f"limit name {name!r} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        TokenBucket(name, rate="1/s")


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 64])
def test_any_other_name_is_accepted(name: str) -> None:
    assert TokenBucket(name, rate="1/s").name == name


@pytest.mark.parametrize("key", ["plain", "", "{}", "{0}", "{a.b}", "{a[0]}", "{a} {b.c}"])
def test_a_key_that_names_no_plain_argument_is_refused(key: str) -> None:
    message = f"limit 'x': key {key!r} must name arguments in braces, like \"{{tenant_id}}\""
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        TokenBucket("x", rate="1/s", key=key)


@pytest.mark.parametrize("key", ["{a:d}", "{a:>10}", "{a!r}", "{a:{b}}"])
def test_a_key_that_formats_its_argument_is_refused(key: str) -> None:
    message = f"limit 'x': key {key!r} must name arguments in braces, like \"{{tenant_id}}\""
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        TokenBucket("x", rate="1/s", key=key)


@pytest.mark.parametrize("key", ["{a", "a}", "{a}}"])
def test_a_key_that_is_no_template_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"limit 'x': key {key!r} is not a template: ")):
        TokenBucket("x", rate="1/s", key=key)


@pytest.mark.parametrize(
    ("limit", "rate"),
    [
        (TokenBucket("x", rate="10/s"), "10/s"),
        (TokenBucket("x", rate="5/10s"), "5/10s"),
        (TokenBucket("x", rate="100/60s"), "100/min"),
        (TokenBucket("x", rate="1/90s"), "1/90s"),
        (TokenBucket("x", rate="48/24h"), "48/d"),
        (TokenBucket("x", rate="1/1500ms"), "1/1500ms"),
        (TokenBucket("x", capacity=1, refill=1, every=0.000001), "1/1us"),
        (TokenBucket("x", capacity=1, refill=2, every=0.5), "2/500ms"),
    ],
)
def test_the_rate_is_told_in_words(limit: TokenBucket, rate: str) -> None:
    assert limit.rate == rate


def test_a_limit_shows_how_it_was_declared() -> None:
    assert repr(TokenBucket("x", rate="100/min", burst=5, key="{a}")) == "TokenBucket('x', rate='100/min', burst=5, key='{a}')"
    assert repr(TokenBucket("x", capacity=1, refill=2, every=2.5)) == "TokenBucket('x', capacity=1, refill=2, every=2.5)"
    assert repr(TokenBucket("x", rate="1/s", debt="kept")) == "TokenBucket('x', rate='1/s', burst=1, debt='kept')"


def test_a_policy_is_published_with_all_the_scripts_need() -> None:
    assert json.loads(TokenBucket("x", rate="10/s", burst=3, key="{a}").to_json()) == {
        "kind": "token_bucket",
        "name": "x",
        "key": "{a}",
        "capacity": 3,
        "rate": "10/s",
        "refill": 10,
        "every_us": 1_000_000,
        "smooth": True,
        "step_us": 1,
        "credits_a_step": 1,
        "credits_a_token": 100_000,
        "debt": "capped",
        "period_us": 100_000,
    }


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (
            lambda: TokenBucket("x", rate="40/s", key="{id}", adapt=True),
            "a limit with a key cannot adapt, as one account that is told to wait",
        ),
        (lambda: TokenBucket("x", rate="40/s", adapt=("5/s", "41/s")), "no more than the declared one, which is the ceiling"),
        (lambda: TokenBucket("x", rate="40/s", adapt=("9/s", "5/s")), "must be a rate from a millionth of the declared one on"),
        (lambda: TokenBucket("x", rate="40/s", adapt=7), "must be True, or the least and the most rate"),  # type: ignore[arg-type] # wrong on purpose
        (lambda: SlidingWindow("x", 40, per=1, adapt=True), "has no option 'adapt'"),  # type: ignore[call-arg] # wrong on purpose
    ],
)
def test_a_limit_that_cannot_adapt_is_refused_with_the_reason(declare: Callable[[], Limit], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        declare()
