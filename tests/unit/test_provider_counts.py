"""What is left of an account, from the header fields of providers: every form that is known, and nothing from what is odd."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from runner.limits.provider_counts import Count, count_in
from runner.limits.spoken_time import LONGEST_S

NOW_S = 1_767_225_540.0
"""2025-12-31T23:59:00Z."""
OPENAI = {"x-ratelimit-remaining-requests": "112", "x-ratelimit-remaining-tokens": "9000", "x-ratelimit-reset-requests": "6m0s"}
ANTHROPIC = {
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-input-tokens-remaining": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "900",
    "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
}
GITHUB = {"X-RateLimit-Remaining": "4987", "X-RateLimit-Resource": "core", "X-RateLimit-Reset": "1900000000"}
DISCORD = {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "1.2", "X-RateLimit-Bucket": "abcd"}
IETF = {"RateLimit": '"default";r=50;t=30, "burst";r=3;t=1', "RateLimit-Policy": '"default";q=100;w=60'}


@pytest.mark.parametrize(
    ("headers", "counter", "left"),
    [
        (OPENAI, None, 112),
        (OPENAI, "requests", 112),
        (OPENAI, "tokens", 9_000),
        (OPENAI, "images", None),
        (ANTHROPIC, None, 49),
        (ANTHROPIC, "input-tokens", 8_000),
        (ANTHROPIC, "Output-Tokens", 900),
        (GITHUB, None, 4_987),
        (GITHUB, "core", 4_987),
        (GITHUB, "search", None),
        (DISCORD, None, 1),
        (IETF, None, 3),
        (IETF, "default", 50),
        (IETF, "other", None),
        ({"RateLimit": "limit=100, remaining=7, reset=3"}, None, 7),
        ({"RateLimit": "default;r=9;t=1"}, "default", 9),
        ({"RateLimit-Remaining": "11"}, None, 11),
        ({"x-rate-limit-remaining": "12"}, None, 12),
        ({"X_RateLimit_Remaining": "13"}, None, 13),
        ({"x-ratelimit-remaining": "5.0"}, None, 5),
        ({b"x-ratelimit-remaining": b"6"}, None, 6),
        ([("x-ratelimit-remaining", "9"), ("x-ratelimit-remaining", "4")], None, 4),
        ({"x-ratelimit-remaining": "9" * 18}, None, 2**51),
    ],
)
def test_what_is_left_is_read(headers: Any, counter: str | None, left: int | None) -> None:
    assert count_in(headers, NOW_S, counter).left == left


@pytest.mark.parametrize(
    ("headers", "counter", "reset_s"),
    [
        (OPENAI, None, 360),
        (OPENAI, "tokens", None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, "requests", 1),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, "tokens", 0.02),
        (ANTHROPIC, None, None),
        ({"anthropic-ratelimit-tokens-remaining": "1", "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z"}, "tokens", 60),
        ({**GITHUB, "X-RateLimit-Reset": "1767225600"}, "core", 60),
        (GITHUB, None, LONGEST_S),
        (DISCORD, None, 1.2),
        ({**DISCORD, "X-RateLimit-Reset": "1900000000"}, None, 1.2),
        (IETF, None, 1),
        (IETF, "default", 30),
        ({"RateLimit": "limit=100, remaining=7, reset=3"}, None, 3),
        ({"RateLimit-Remaining": "11", "RateLimit-Reset": "7"}, None, 7),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "soon"}, None, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "-5"}, None, 0),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "9" * 60}, None, LONGEST_S),
        ([("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "4"), ("x-ratelimit-reset", "9")], None, 9),
        ({"x-ratelimit-reset": "9"}, None, None),
    ],
)
def test_when_the_count_is_set_back_is_read(headers: Any, counter: str | None, reset_s: float | None) -> None:
    assert count_in(headers, NOW_S, counter).reset_s == reset_s


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1" + "0" * 400, "soon", "1e9", "٣", "5.5", "", "0x10", "1 000"])
def test_what_is_no_number_is_nothing_and_is_told(text: str) -> None:
    left, unreadable, _ = count_in({"x-ratelimit-remaining": text}, NOW_S)

    assert left is None
    assert unreadable == text[:80]


class Raising:
    @property
    def headers(self) -> object:
        raise RuntimeError("no")


@pytest.mark.parametrize("said", [None, 3, "text", object(), [], {}, [1, 2], [("a",)], {1: 2}, {"x-ratelimit-remaining": None}, Raising()])
def test_whatever_is_given_raises_nothing(said: object) -> None:
    assert count_in(said, NOW_S).left is None


def test_of_very_many_fields_some_are_read() -> None:
    many = [(f"x-{number}", "1") for number in range(100_000)]

    assert count_in(many, NOW_S) == Count(None)


def test_a_response_and_an_error_that_has_one_are_read() -> None:
    response = httpx.Response(200, headers=OPENAI)

    assert count_in(response, NOW_S).left == 112
    assert count_in(SimpleNamespace(response=response), NOW_S, "tokens").left == 9_000
