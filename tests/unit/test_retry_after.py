"""What a provider says about when to come back, in every form, and in none that can be read."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.limits.retry_after import retry_after_s

NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"RETRY-AFTER": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": format_datetime(datetime.fromtimestamp(NOW_S + 90, UTC), usegmt=True)}, 90),
        ({"Retry-After": format_datetime(datetime.fromtimestamp(NOW_S - 90, UTC), usegmt=True)}, 0),
        ({"Retry-After": datetime.fromtimestamp(NOW_S + 60, UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT")}, 60),
        ({"Retry-After": "2m30s"}, 150),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": '"burst";r=0;t=5, "day";r=0;t=300'}, 300),
        ({"RateLimit": '"burst";r=0;t=5, "day";r=40;t=300'}, 5),
        ({"RateLimit": '"default";r=3;t=30'}, None),
        ({"RateLimit": '"default";t=30'}, 30),
        ({"x-ratelimit-reset": "17"}, 17),
        ({"x-ratelimit-reset": str(NOW_S + 17)}, 17),
        ({"x-ratelimit-reset": str(int(NOW_S + 17) * 1000)}, 17),
        ({"x-ratelimit-reset": datetime.fromtimestamp(NOW_S + 17, UTC).isoformat()}, 17),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-requests": "12ms"}, 0.012),
        ({"x-ratelimit-reset-requests": "1h2m3.5s"}, 3_723.5),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-tokens": "9s"}, 9),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}, 1),
        ({"x-ratelimit-reset": "17", "x-ratelimit-remaining": "3"}, None),
        ({"retry-after": "5", "x-ratelimit-reset": "17"}, 5),
        ({}, None),
        ({"content-type": "text/html"}, None),
    ],
)
def test_every_form_that_providers_use(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else pytest.approx(seconds, abs=1e-3)

    assert retry_after_s(headers, NOW_S) == expected
    assert retry_after_s(httpx.Response(429, headers=headers), NOW_S) == expected


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(3, 3.0), (0.25, 0.25), (-1, 0.0), (timedelta(minutes=2), 120.0), (timedelta(seconds=-1), 0.0), (None, None), (True, None)],
)
def test_a_number_and_a_timedelta_speak_for_themselves(said: object, seconds: float | None) -> None:
    assert retry_after_s(said, NOW_S) == seconds


@pytest.mark.parametrize("said", [float("nan"), float("inf"), "12", b"12", object(), [], {"retry-after": None}, {1: 2}])
def test_what_says_nothing_is_nothing(said: object) -> None:
    assert retry_after_s(said, NOW_S) is None


@pytest.mark.parametrize(
    "value", ["", "soon", "nan", "inf", "-inf", "1e999", "Wed, 99 Foo 2026", "99999999999999999999d", "ss", "12x", "\x00"]
)
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms", "ratelimit", "x-ratelimit-reset", "x-ratelimit-reset-tokens"])
def test_garbage_is_no_wait_and_no_error(name: str, value: str) -> None:
    seconds = retry_after_s({name: value}, NOW_S)

    assert seconds is None or seconds >= 0


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "ratelimit", "x-ratelimit-reset", "x-ratelimit-reset-requests"]), st.text()
    )
)
def test_whatever_a_header_says_the_answer_is_finite_and_not_negative(headers: dict[str, str]) -> None:
    seconds = retry_after_s(headers, NOW_S)

    assert seconds is None or 0 <= seconds < float("inf")
