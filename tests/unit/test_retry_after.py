"""What a provider says about when to come back: every form that providers use, and what nobody can read."""

from collections.abc import Iterator
from datetime import timedelta, timezone

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.limits.retry_after import Word, read
from runner.limits.spoken_time import LONGEST_S
from tests.named import named
from tests.unit.provider_answers import HOSTILE, NOW_S, READABLE, SILENT, SILENT_HEADERS, UNREADABLE, Plain, TelegramError

NOTHING = Word(None)


@pytest.mark.parametrize(("said", "seconds"), READABLE, ids=named)
def test_every_form_that_providers_use(said: object, seconds: float) -> None:
    word = read(said, NOW_S)

    assert word.seconds == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize(
    "headers",
    SILENT_HEADERS,
    ids=named,
)
def test_headers_that_do_not_say_it_say_nothing(headers: dict[str, str]) -> None:
    assert read(headers, NOW_S) == read(httpx.Response(429, headers=headers), NOW_S) == NOTHING


@pytest.mark.parametrize(
    "said",
    SILENT,
    ids=named,
)
def test_what_says_nothing_is_nothing(said: object) -> None:
    assert read(said, NOW_S) == NOTHING


def rings() -> Iterator[object]:
    body: dict[str, object] = {}
    body["error"] = body
    yield body
    error = RuntimeError("x")
    error.__cause__ = error
    yield error


@pytest.mark.parametrize("said", list(rings()), ids=["a body", "an error"])
def test_what_holds_itself_is_read_to_a_depth(said: object) -> None:
    assert read(said, NOW_S) == NOTHING


@pytest.mark.parametrize(
    ("said", "shown"),
    UNREADABLE,
    ids=named,
)
def test_what_cannot_be_read_is_shown_as_it_was_said(said: object, shown: str) -> None:
    assert read(said, NOW_S) == Word(None, shown)


@pytest.mark.parametrize("said", HOSTILE, ids=type)
def test_an_object_of_somebody_else_is_unreadable_whatever_it_does(said: object) -> None:
    word = read(said, NOW_S)

    assert word.seconds is None
    assert word.unreadable is None if isinstance(said, Plain) else word.unreadable


def test_a_field_that_cannot_be_read_is_remembered_beside_one_that_can() -> None:
    assert read({"retry-after-ms": "x", "retry-after": "5"}, NOW_S) == Word(5, "'x'")


def test_only_the_first_two_hundred_headers_are_read() -> None:
    headers = [(f"x-{number}", "1") for number in range(200)]

    assert read([*headers, ("retry-after", "5")], NOW_S) == NOTHING
    assert read([*headers[1:], ("retry-after", "5")], NOW_S) == Word(5)


NAMES = ["retry-after", "retry-after-ms", "ratelimit", "x-ratelimit-reset", "x-ratelimit-reset-tokens", "x-ratelimit-remaining", "error"]
VALUES = st.one_of(
    st.text(),
    st.binary(),
    st.none(),
    st.floats(),
    st.integers(),
    st.decimals(),
    st.datetimes(timezones=st.none() | st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)),
    st.timedeltas(),
    st.text(alphabet="0123456789:;=,. +-smhdTZGMrt", max_size=40),
)


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner), max_leaves=8))
def test_whatever_is_said_the_answer_is_from_none_to_366_days(said: object) -> None:
    for shape in (said, [("retry-after", said)], Plain(said), TelegramError(said)):
        seconds, unreadable = read(shape, NOW_S)

        assert seconds is None or 0 <= seconds <= LONGEST_S
        assert unreadable is None or unreadable.isprintable()


@given(st.text(alphabet='0123456789.:, -+eEsmhdTZPGMTJanFeb"', max_size=600))
def test_no_text_takes_more_than_a_look(text: str) -> None:
    seconds, _ = read({"retry-after": text, "ratelimit": text, "x-ratelimit-reset": text}, NOW_S)

    assert seconds is None or 0 <= seconds <= LONGEST_S
